import { describe, expect, it } from 'vitest';
import { readdirSync, readFileSync } from 'node:fs';
import { optionsOf, parseScenario } from './scenario.js';
import { shrink } from './shrink.js';
import { plantedBugs } from './planted/planted-bugs.js';
import { reportOf } from './report.js';
import { runSeed, type RunResult } from './run.js';

const isFull = process.env.CONCLAVE_FULL === '1';
const firstSeed = Number(process.env.CONCLAVE_SEED ?? 20_001);
const worlds = [
  { members: 3, seeds: isFull ? 1_000 : 16 },
  { members: 5, seeds: isFull ? 300 : 4 },
];

async function pass(seed: number, members: number): Promise<RunResult> {
  const result = await runSeed(seed, { members });
  if (result.violation !== undefined) expect.fail(reportOf(result));
  return result;
}

describe('clusters in the simulator', () => {
  const results: RunResult[] = [];
  /** Of worlds with joint changes. */
  const changing: RunResult[] = [];

  it.each(worlds)(
    'finds nothing in $seeds worlds of $members members',
    async ({ members, seeds }) => {
      for (let seed = firstSeed; seed < firstSeed + seeds; seed++) results.push(await pass(seed, members));
    },
    isFull ? 3_600_000 : 180_000,
  );

  it(
    'finds nothing where several members change at once, again and again',
    async () => {
      const file = new URL('scenarios/joint-changes.json', import.meta.url);
      const options = optionsOf(parseScenario(readFileSync(file, 'utf8')));
      for (let seed = firstSeed; seed < firstSeed + (isFull ? 300 : 5); seed++) {
        const result = await runSeed(seed, options);
        if (result.violation !== undefined) expect.fail(reportOf(result));
        changing.push(result);
      }
    },
    isFull ? 1_800_000 : 120_000,
  );

  it('has had all kinds of faults there, and work that they could disturb', () => {
    const happened = new Set<string>();
    for (const { network } of [...results, ...changing]) {
      for (const [kind, count] of Object.entries(network)) if ((count as number) > 0) happened.add(kind);
    }
    const { length } = results;
    const sum = (of: (result: RunResult) => number): number =>
      results.reduce((total, each) => total + of(each), 0);
    expect([...happened].sort()).toEqual(Object.keys(results[0].network).sort());
    expect(sum(({ answers }) => answers)).toBeGreaterThan(150 * length);
    expect(sum(({ watchEvents }) => watchEvents)).toBeGreaterThan(50 * length);
    expect(sum(({ crashes }) => crashes)).toBeGreaterThan(length);
    expect(sum(({ witnessed }) => witnessed)).toBeGreaterThan(30 * length);
    expect(sum(({ isUndecided }) => (isUndecided ? 1 : 0))).toBeLessThanOrEqual(length / 1_000);
    expect(sum(({ leaders }) => leaders)).toBeGreaterThan(2 * length);
  });

  it(
    'does the same for the same seed',
    async () => {
      const some = results.filter((_, at) => at % (isFull ? 100 : 8) === 0);
      for (const { seed, members, hash } of some) expect((await runSeed(seed, { members })).hash).toBe(hash);
    },
    isFull ? 600_000 : 120_000,
  );
});

describe('scenarios', () => {
  const folder = new URL('scenarios/', import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));

  it.each(files)('%s ends as it says', async (name) => {
    const scenario = parseScenario(readFileSync(new URL(name, folder), 'utf8'));
    const { violation } = await runSeed(scenario.seed, optionsOf(scenario));
    expect(violation?.property, violation?.message).toBe(scenario.violates);
  });

  it('are made out of a failing seed by leaving out what it does not need', async () => {
    const planted = plantedBugs.find(({ name }) => name === 'torn-tail-kept');
    let seed = 1;
    while ((await runSeed(seed, { planted })).violation === undefined) seed++;
    const steps: string[] = [];
    const { violates, profile } = await shrink(seed, { planted }, (text) => steps.push(text));
    expect(steps.length).toBeGreaterThan(3);
    const again = await runSeed(seed, { planted, profile });
    expect(again.violation?.property).toBe(violates);
  }, 60_000);

  it('are refused when they are none', () => {
    expect(() => parseScenario('{"seed": 1}')).toThrow(/a scenario has a seed/);
  });
});
