import { describe, expect, it } from 'vitest';
import { checkRun, type Effort } from './crash-checker.js';
import {
  acknowledgeEarly,
  forgetDirectories,
  keepTornTail,
  reportUnsyncedMark,
  reuseEarly,
} from './planted-bugs.js';
import { recordRun } from './recorded-run.js';

/** `CONCLAVE_FULL=1` tries everything; otherwise a fixed share that takes a few seconds. */
const full = process.env['CONCLAVE_FULL'] === '1';
const effort: Effort = full
  ? { exhaustiveStates: 4096, samples: 30, stride: 1 }
  : { exhaustiveStates: 8, samples: 3, stride: 1 };

describe('every crash state of a recorded run', () => {
  it.each(full ? [1, 2, 3, 4, 5, 6, 7, 8] : [1, 2])(
    'recovers to a state at or after the last acknowledged update (seed %i)',
    async (seed) => {
      const run = await recordRun(full ? 200 : 40, seed);
      const { crashStates, garbageStates, violations } = await checkRun(run, effort);
      expect(violations).toEqual([]);
      expect(crashStates).toBeGreaterThan(run.moments.length * 3);
      expect(run.reusedFiles).toBeGreaterThan(0);
      expect(garbageStates).toBeGreaterThan(run.moments.length);
    },
    full ? 3_600_000 : 60_000,
  );
});

describe('planted bugs are found by the same checker', () => {
  const hunt: Effort = { exhaustiveStates: 64, samples: 12, stride: 1 };

  it('a sync that is acknowledged before it took place', async () => {
    const { violations } = await checkRun(await recordRun(20, 3, acknowledgeEarly), hunt);
    expect(violations.length).toBeGreaterThan(0);
  });

  it('a directory that is never synced', async () => {
    const { violations } = await checkRun(await recordRun(20, 3, forgetDirectories), hunt);
    expect(violations.map(({ what }) => what)).toContain('the log is gone');
  });

  it('a file that is written again before its old name is gone', async () => {
    const run = await recordRun(60, 3, reuseEarly);
    expect(run.reusedFiles).toBeGreaterThan(0);
    expect((await checkRun(run, hunt)).violations.length).toBeGreaterThan(0);
  });

  it('a torn tail that is kept', async () => {
    const { violations } = await checkRun(await recordRun(40, 3), hunt, keepTornTail);
    expect(violations.length).toBeGreaterThan(0);
  });

  it('a proof that is written down before the sync it speaks of', async () => {
    const { violations } = await checkRun(await recordRun(40, 3, reportUnsyncedMark), hunt);
    expect(violations.some(({ what }) => what.includes('WalCorruptionError'))).toBe(true);
  });
});
