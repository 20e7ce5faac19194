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

// Everything shares the cores, and mostly waits; what breaks whole members, as vitest.config.ts says, comes behind it.
const phases =
  filters.length > 0
    ? [filters]
    : [
        ['--project=units', '--project=systems', '--maxWorkers=3'],
        ['--project=alone', '--maxWorkers=2'],
      ];
let passed = 0;
let failed = 0;

function run(phase, report) {
  const vitest = spawnSync(
    process.execPath,
    [
      'node_modules/vitest/vitest.mjs',
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...phase,
    ],
    { stdio: 'inherit', env: { ...process.env, ...(full ? { CONCLAVE_FULL: '1' } : {}) } },
  );
  const results = JSON.parse(readFileSync(report, 'utf8'));
  passed += results.numPassedTests;
  // A file that does not load has no tests to count, and must not go unnoticed.
  const failures =
    results.numFailedTests +
    results.testResults.filter(
      (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
    ).length;
  failed += failures === 0 && vitest.status !== 0 ? 1 : failures;
}

for (const [at, phase] of phases.entries()) {
  try {
    run(phase, join(folder, `report-${at}.json`));
  } catch (error) {
    console.error(`No test report was written: ${error.message}`);
    failed += 1;
  }
}
rmSync(folder, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
