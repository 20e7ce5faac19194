import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type Mutant, readMutants, repository } from './mutants.js';

/** How a search for one mutant ended. */
export interface Search {
  readonly name: string;
  /** Undefined when none of the seeds showed it. */
  readonly found:
    { readonly seeds: number; readonly property: string; readonly cpuSeconds: number } | undefined;
}

/** Built: only there can the engine be another one. */
const program = join(repository, 'test/dist/simulator/main.js');

/** Looks for a mutant in a process of its own, seed by seed, for `within` CPU seconds at most. */
export function search({ name, world }: Mutant, seeds: string, within: number): Search {
  const args = [program, '--members=3', `--seeds=${seeds}`, `--mutant=${name}`, `--within=${within}`];
  if (world !== undefined)
    args.push(`--scenario=${join(repository, 'test/simulator/scenarios', world)}.json`);
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const found = /^found in seed \d+, number (\d+), by (\w+), after ([\d.]+) CPU seconds$/m.exec(stdout);
  if (found === null) return { name, found: undefined };
  return { name, found: { seeds: Number(found[1]), property: found[2], cpuSeconds: Number(found[3]) } };
}

/** Looks for every mutant and prints a row for each. @returns how many were not found. */
export function searchAll(seeds: string, within: number, print: (line: string) => void): number {
  let missed = 0;
  print('| mutant | seeds | CPU s | first property |');
  print('|---|---|---|---|');
  for (const mutant of readMutants()) {
    const { name, world } = mutant;
    const { found } = search(mutant, seeds, within);
    if (found === undefined) missed++;
    const row =
      found === undefined ? 'not found | | ' : `${found.seeds} | ${found.cpuSeconds} | ${found.property}`;
    print(`| ${name}${world === undefined ? '' : ' (directed)'} | ${row} |`);
  }
  return missed;
}
