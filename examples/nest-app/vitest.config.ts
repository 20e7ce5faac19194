import { defineConfig } from 'vitest/config';

// Decorators are lowered with their metadata, from which Nest knows what to inject.
export default defineConfig({
  oxc: { target: 'node20', decorator: { legacy: true, emitDecoratorMetadata: true } },
  test: { include: ['src/**/*.spec.ts'] },
});
