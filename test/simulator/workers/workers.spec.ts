import { describe, expect, it } from 'vitest';
import { reportOf } from '../report.js';
import { runSeed, type RunResult } from '../run.js';
import { type WorkerCounts } from './workforce.js';
import { slowWays } from './worker-profile.js';

const firstSeed = Number(process.env.CONCLAVE_SEED ?? 30_001);
const profile = { workers: { ...slowWays, thinkMs: 100, holdMs: 200, troubleEveryMs: 1_000 } };

describe('locks and elections of the production client in the simulator', () => {
  const results: RunResult[] = [];

  it('hold what they promise, whatever breaks', async () => {
    for (let seed = firstSeed; seed < firstSeed + 6; seed++) {
      const result = await runSeed(seed, { members: 3, profile });
      if (result.violation !== undefined) expect.fail(reportOf(result));
      results.push(result);
    }
  }, 120_000);

  it('have had turns, and all kinds of trouble', () => {
    const sum = (kind: keyof WorkerCounts): number =>
      results.reduce((total, { workers }) => total + workers[kind], 0);
    for (const kind of Object.keys(results[0].workers)) {
      expect(sum(kind as keyof WorkerCounts), kind).toBeGreaterThan(0);
    }
    // Everybody has one of each at the end at least.
    expect(sum('holderTurns')).toBeGreaterThanOrEqual(8 * results.length);
  });

  it('do the same for the same seed', async () => {
    const [{ seed, hash }] = results;
    expect((await runSeed(seed, { members: 3, profile })).hash).toBe(hash);
  }, 60_000);
});
