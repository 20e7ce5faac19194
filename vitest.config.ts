import { defineConfig } from 'vitest/config';

// Sources are imported directly (condition `conclave-source`); only worker threads load from `dist`,
// which `npm run check` and `npm test` build first.
const conditions = ['conclave-source', 'module', 'node', 'import', 'default'];
const serverConditions = ['conclave-source', 'node'];

export default defineConfig({
  resolve: { conditions },
  // These are given to Node, which adds `import` or `require` itself: with both, CommonJS packages would get ES modules.
  ssr: { resolve: { conditions: serverConditions, externalConditions: serverConditions } },
  oxc: { target: 'node20', decorator: { legacy: true, emitDecoratorMetadata: true } },
  test: {
    include: ['libs/**/src/**/*.spec.ts', 'apps/**/src/**/*.spec.ts', 'test/**/*.spec.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
