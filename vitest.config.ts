import { defineConfig } from 'vitest/config';

// Sources are imported directly (condition `conclave-source`); only worker threads load from `dist`,
// which `npm run check` and `npm test` build first.
const conditions = ['conclave-source', 'module', 'node', 'import', 'default'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  oxc: { target: 'node20', decorator: { legacy: true, emitDecoratorMetadata: true } },
  test: {
    include: ['libs/**/src/**/*.spec.ts', 'apps/**/src/**/*.spec.ts', 'test/**/*.spec.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
