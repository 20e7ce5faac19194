import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { repositoryRoot } from '../../members/member-process.js';

/** Inside the repository, so that packages are found as they are for its own specs. */
const folder = join(repositoryRoot, `test/e2e/sdk/.guide-${process.pid}`);
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('every example of docs/testing.md is a test that passes', async () => {
  const guide = readFileSync(join(repositoryRoot, 'docs/testing.md'), 'utf8');
  const examples = [...guide.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = '']) => code);
  expect(examples).toHaveLength(3);
  mkdirSync(folder);
  for (const [index, code] of examples.entries())
    writeFileSync(join(folder, `example-${index}.spec.ts`), code);
  const vitest = join(repositoryRoot, 'node_modules/vitest/vitest.mjs');
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [vitest, 'run', folder, '--reporter=json', '--maxWorkers=1'],
    { cwd: repositoryRoot },
  ).catch((error: { stdout: string }) => error);
  const report = JSON.parse(stdout.slice(stdout.indexOf('{'))) as {
    readonly numPassedTests: number;
    readonly testResults: readonly {
      readonly message: string;
      readonly assertionResults: readonly object[];
    }[];
  };
  expect([report.numPassedTests, report.testResults.filter(({ message }) => message !== '')]).toEqual([
    3,
    [],
  ]);
});
