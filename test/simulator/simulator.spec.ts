import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { plantedBugs } from './planted/planted-bugs.js';
import { reportOf } from './report.js';
import { quietFaults } from './world/profile.js';
import { runSeed, type RunOptions, type RunResult } from './run.js';

const isFull = process.env.CONCLAVE_FULL === '1';
const freshSeeds = isFull ? 1_000 : 40;
/** Other seeds than those that the mistakes are searched with; set it to look at others. */
const firstSeed = Number(process.env.CONCLAVE_SEED ?? 10_001);

async function pass(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const result = await runSeed(seed, options);
  if (result.violation !== undefined) expect.fail(reportOf(result));
  return result;
}

describe('the simulator', () => {
  const results: RunResult[] = [];

  it(
    `finds nothing in ${freshSeeds} worlds`,
    async () => {
      for (let seed = firstSeed; seed < firstSeed + freshSeeds; seed++) results.push(await pass(seed));
    },
    isFull ? 1_800_000 : 120_000,
  );

  it('has had all kinds of faults there, and work that they could disturb', () => {
    const happened = new Set<string>();
    for (const { faults } of results) {
      for (const [kind, count] of Object.entries(faults)) if ((count as number) > 0) happened.add(kind);
    }
    const { length } = results;
    expect([...happened].sort()).toEqual(Object.keys(results[0].faults).sort());
    expect(results.reduce((sum, { answers }) => sum + answers, 0)).toBeGreaterThan(100 * length);
    expect(results.reduce((sum, { watchEvents }) => sum + watchEvents, 0)).toBeGreaterThan(50 * length);
    expect(results.reduce((sum, { crashes }) => sum + crashes, 0)).toBeGreaterThan(length);
    expect(results.reduce((sum, { expiries }) => sum + expiries, 0)).toBeGreaterThan(length / 4);
  });

  it(
    'does the same for the same seed',
    async () => {
      for (const { seed, hash } of isFull ? results : results.slice(0, 8)) {
        expect((await runSeed(seed)).hash).toBe(hash);
      }
      expect(new Set(results.map(({ hash }) => hash)).size).toBe(results.length);
    },
    isFull ? 1_800_000 : 120_000,
  );

  const remembered = readFileSync(new URL('seeds.txt', import.meta.url), 'utf8').match(/^\d+/gm) ?? [];
  it.each(remembered)('passes seed %s, which once failed', async (seed) => {
    await pass(Number(seed));
  });

  it('survives a crash at every effect of the disk', async () => {
    const profile = { operations: 80, thinkMs: 1, leaseClients: 0, watchClients: 1, faults: quietFaults };
    const step = isFull ? 1 : 3;
    let crashAt = 1;
    while ((await pass(11, { profile, crashAt })).crashes > 0) crashAt += step;
    expect(crashAt).toBeGreaterThan(100);
  }, 300_000);
});

describe('planted mistakes', () => {
  const seedsMax = 80;

  it.each(plantedBugs)('$name is found', async (planted) => {
    const { members, profile, quickFrom = 1 } = planted;
    for (let seed = isFull ? 1 : quickFrom; seed <= seedsMax; seed++) {
      const result = await runSeed(seed, { planted, members, profile });
      if (result.violation === undefined) continue;
      // The same world without the mistake is right: what was found is the mistake.
      await pass(seed, { members, profile });
      expect(reportOf(result, { planted })).toMatch(/See it again: npm run sim/);
      return;
    }
    expect.fail(`${seedsMax} seeds did not show that ${planted.story}`);
  });
});
