import { defineConfig } from 'vitest/config';

// Sources are imported directly (condition `conclave-source`); only worker threads load from `dist`,
// which `npm run check` and `npm test` build first.
const conditions = ['conclave-source', 'module', 'node', 'import', 'default'];
const serverConditions = ['conclave-source', 'node'];
const nowhere = ['**/node_modules/**', '**/dist/**'];

/** Faults of whole members are judged apart from everything else, which would slow them down. */
const alone = [
  'kill-nine',
  'pause',
  'clocks/*',
  'storage-faults/*',
  'mutual-exclusion/*',
  'cluster/cluster',
  'cluster/administration',
].map((name) => `test/robustness/${name}.spec.ts`);

export default defineConfig({
  resolve: { conditions },
  // These are given to Node, which adds `import` or `require` itself: with both, CommonJS packages would get ES modules.
  ssr: { resolve: { conditions: serverConditions, externalConditions: serverConditions } },
  oxc: { target: 'node20', decorator: { legacy: true, emitDecoratorMetadata: true } },
  test: {
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'units',
          include: ['libs/**/src/**/*.spec.ts', 'apps/**/src/**/*.spec.ts'],
          exclude: nowhere,
          // The files of one worker share their modules: loading them for each file takes longer than most files.
          isolate: false,
        },
      },
      {
        extends: true,
        test: { name: 'systems', include: ['test/**/*.spec.ts'], exclude: [...nowhere, ...alone] },
      },
      { extends: true, test: { name: 'alone', include: alone, exclude: nowhere } },
    ],
  },
});
