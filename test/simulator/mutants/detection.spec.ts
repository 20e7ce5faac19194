import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { plantedBugs } from '../planted/planted-bugs.js';
import { parseScenario } from '../scenario.js';
import { search } from './mutant-table.js';
import { mutate, readMutants, repository } from './mutants.js';

/** How a mutant was found when all were searched. */
interface Measured {
  readonly name: string;
  readonly cpuSeconds: number;
}

/** The rows of the table in the README beside this file. */
function readTable(): Measured[] {
  const text = readFileSync(join(repository, 'test/simulator/mutants/README.md'), 'utf8');
  const rows = text.matchAll(/^\| ([a-z-]+)(?: \(directed\))? \| \d+ \| ([\d.]+) \| [A-Z]\d+ \|$/gm);
  return [...rows].map(([, name, cpuSeconds]) => ({ name, cpuSeconds: Number(cpuSeconds) }));
}

const mutants = readMutants();
const today = Number(process.env.CONCLAVE_SEED ?? Math.floor(Date.now() / 86_400_000));

describe('mutants', () => {
  it.each(mutants)('$name still applies', (mutant) => {
    expect(mutant.story).not.toBe('');
    for (const [path, source] of mutate(mutant)) expect(source, path).not.toBe('');
  });

  it('have all been found, as the table says', () => {
    expect(readTable().map(({ name }) => name)).toEqual(mutants.map(({ name }) => name));
  });

  const quick = readTable().filter(({ cpuSeconds }) => cpuSeconds <= 5);
  const ofToday = [quick[(2 * today) % quick.length], quick[(2 * today + 1) % quick.length]];
  it.each(ofToday)(
    '$name is found, one of two that change from day to day',
    ({ name }) => {
      const mutant = mutants.find((each) => each.name === name)!;
      const { found } = search(mutant, '1..40', 30);
      expect(found, `${name} was not found within 40 seeds`).toBeDefined();
    },
    120_000,
  );
});

describe('scenarios of incidents', () => {
  const folder = join(repository, 'test/simulator/scenarios');
  const incidents = readdirSync(folder).filter((name) => name.startsWith('inc-'));

  it.each(incidents)('%s names the mistake that it catches', (file) => {
    const { catches } = parseScenario(readFileSync(join(folder, file), 'utf8'));
    const known = [
      ...mutants.map(({ name: mutant }) => ({ mutant })),
      ...plantedBugs.map(({ name: planted }) => ({ planted })),
    ];
    expect(known).toContainEqual(catches);
  });
});
