// Runs the test suites and closes with one line: `N passed, M failed`.
//   node scripts/test.mjs [--full] [vitest filters …]
// Without --full the long suites (crash states, simulator, fuzz, fault rounds) run a fixed small share of themselves.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const full = process.argv.includes('--full');
const filters = process.argv.slice(2).filter((argument) => argument !== '--full');
const folder = mkdtempSync(join(tmpdir(), 'conclave-test-'));
const report = join(folder, 'report.json');

const vitest = spawnSync(
  process.execPath,
  [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...filters,
  ],
  { stdio: 'inherit', env: { ...process.env, ...(full ? { CONCLAVE_FULL: '1' } : {}) } },
);

let passed = 0;
let failed = 0;
try {
  const results = JSON.parse(readFileSync(report, 'utf8'));
  passed = results.numPassedTests;
  failed = results.numFailedTests;
  // A file that does not load has no tests to count, and must not go unnoticed.
  failed += results.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
} catch (error) {
  console.error(`No test report was written: ${error.message}`);
  failed = 1;
}
rmSync(folder, { recursive: true, force: true });
if (failed === 0 && vitest.status !== 0) failed = 1;
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
