// Types, lint, format, architecture and unit tests: what to run all the time. Reports every part, then fails if any did.
// Two things run at a time; what a part prints is shown when it ends.
import { spawn } from 'node:child_process';

const node = process.execPath;
// By content: a checkout changes the times of files.
const cache = ['--cache', '--cache-strategy', 'content'];
const types = ['types', 'node_modules/typescript/bin/tsc', '-b'];
const lint = [
  'lint',
  'node_modules/eslint/bin/eslint.js',
  '.',
  '--max-warnings=0',
  ...cache,
  '--cache-location',
  'node_modules/.cache/eslint/',
];
const format = [
  'format',
  'node_modules/prettier/bin/prettier.cjs',
  '--check',
  '--log-level=warn',
  ...cache,
  '.',
];
const tests = [
  'architecture and unit tests',
  'node_modules/vitest/vitest.mjs',
  'run',
  '--reporter=dot',
  '--maxWorkers=2',
  'libs/',
  'apps/',
  'test/architecture',
];

function run([name, ...args]) {
  const started = Date.now();
  const env = { ...process.env, CONCLAVE_CHECK: '1' };
  const child = spawn(node, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  const printed = [];
  child.stdout.on('data', (chunk) => printed.push(chunk));
  child.stderr.on('data', (chunk) => printed.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      process.stdout.write(Buffer.concat(printed));
      const seconds = ((Date.now() - started) / 1000).toFixed(1);
      console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
      if (status !== 0) failures.push(name);
      resolve();
    });
  });
}

async function inTurn(parts) {
  for (const part of parts) await run(part);
}

const failures = [];
// Tests start worker threads from what the types part builds.
await Promise.all([inTurn([types, tests]), inTurn([lint, format])]);
if (failures.length > 0) {
  console.error(`Failed: ${failures.join(', ')}`);
  process.exit(1);
}
