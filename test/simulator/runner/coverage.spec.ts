import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/** Built: that is where the lines come from. */
const program = fileURLToPath(new URL('../../dist/simulator/main.js', import.meta.url));

it('tells which lines of the engine the seeds have run, and which they have not', () => {
  const args = [program, '--members=3', '--seeds=1..2', '--quiet', '--coverage'];
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const share = Number(/^\| engine\/raft \| \d+ \| ([\d.]+) % \|$/m.exec(stdout)?.[1]);
  expect(share).toBeGreaterThan(50);
  expect(share).toBeLessThan(100);
  // Nobody but an operator forces a cluster; every leader appends.
  expect(stdout).toMatch(/^engine\/engine-forced-cluster\.ts:\d+ {2}\S/m);
  expect(stdout).not.toMatch(/^engine\/raft\/leader\.ts:\d+ {2}return \{ index: this\.#append/m);
}, 60_000);
