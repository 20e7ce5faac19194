// Types, lint, format, architecture and unit tests: what to run all the time. Reports every part, then fails if any did.
import { spawnSync } from 'node:child_process';

const node = process.execPath;
const parts = [
  ['types', [node, 'node_modules/typescript/bin/tsc', '-b']],
  [
    'lint',
    [
      node,
      'node_modules/eslint/bin/eslint.js',
      '.',
      '--max-warnings=0',
      '--cache',
      '--cache-location',
      'node_modules/.cache/eslint/',
    ],
  ],
  ['format', [node, 'node_modules/prettier/bin/prettier.cjs', '--check', '--log-level=warn', '--cache', '.']],
  [
    'architecture and unit tests',
    [node, 'node_modules/vitest/vitest.mjs', 'run', '--reporter=dot', 'libs/', 'apps/', 'test/architecture'],
  ],
];

const failures = [];
for (const [name, [command, ...args]] of parts) {
  const started = Date.now();
  const { status } = spawnSync(command, args, {
    stdio: 'inherit',
    env: { ...process.env, CONCLAVE_CHECK: '1' },
  });
  console.log(
    `${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`,
  );
  if (status !== 0) failures.push(name);
}
if (failures.length > 0) {
  console.error(`Failed: ${failures.join(', ')}`);
  process.exit(1);
}
