import { afterEach, describe, expect, it } from 'vitest';
import { judge, type Verdict } from './judge.js';
import { dialect, Laboratory, type TrialOptions } from './trial.js';

const { CONCLAVE_FULL, CONCLAVE_SECONDS, CONCLAVE_SEEDS } = process.env;
const full = CONCLAVE_FULL === '1';
const seconds = Number(CONCLAVE_SECONDS ?? (full ? 600 : 12));
const seeds = (CONCLAVE_SEEDS ?? '1').split(',').map(Number);

let laboratory: Laboratory | undefined;
afterEach(async () => {
  await laboratory?.end();
  laboratory = undefined;
});

async function verdictOf(options: TrialOptions): Promise<Verdict> {
  laboratory = await Laboratory.start(options);
  const trial = await laboratory.run();
  const verdict = judge(trial);
  const { handOvers, accepted, refused, lost, worstHandOverMs, violations } = verdict;
  const strikes = [...laboratory.strikes].map(([name, count]) => `${count} x ${name}`).sort();
  process.stdout.write(
    `seed ${options.seed}, ${options.seconds} s in ${dialect ?? ''}: ${handOvers} hand-overs, ${accepted} writes, ` +
      `${refused} stale ones refused, ${lost} losses told, worst hand-over ${Math.round(worstHandOverMs)} ms ` +
      `(bound ${trial.handOverBoundMs} ms), ${violations.length} violations; ${strikes.join(', ')}\n`,
  );
  return verdict;
}

describe.runIf(dialect !== undefined)('ten workers and one lock, under faults', () => {
  it.each(seeds)(
    'lose no update, accept no stale write and never believe at the same time (seed %i)',
    async (seed) => {
      const verdict = await verdictOf({ seconds, seed, ttlMs: 3_000, workers: 10 });
      expect(verdict.violations).toEqual([]);
      expect(laboratory?.complaints).toEqual([]);
      expect(verdict.handOvers).toBeGreaterThan(seconds / 2);
    },
    (seconds + 120) * 1_000,
  );

  it.runIf(full)(
    'show a gate that does not compare tokens',
    async () => {
      const options = { seconds: 6, seed: 3, ttlMs: 2_000, workers: 3, planted: 'gate' } as const;
      const { violations } = await verdictOf(options);
      expect(violations.join('\n')).toMatch(/of token \d+ was accepted after \d+/);
      expect(violations.join('\n')).toMatch(/wrote \d+ after \d+|the counter is/);
    },
    120_000,
  );

  it.runIf(full)(
    'show a client that believes until the receipt of a keep-alive + TTL',
    async () => {
      const options = { seconds: 12, seed: 4, ttlMs: 5_000, workers: 3, answersLateMs: 1_000 };
      const { violations } = await verdictOf({ ...options, planted: 'belief' });
      expect(violations.join('\n')).toMatch(/had stopped believing/);
    },
    120_000,
  );
});
