import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { parseScenario } from './scenario.js';
import { shrink } from './shrink.js';
import { smallProfile, type Profile } from './world/profile.js';
import { plantedBugs } from './planted/planted-bugs.js';
import { FaultTable, foundLine, lineOf, reportOf } from './report.js';
import { runSeed, type RunResult } from './run.js';
import { type PlantedBug } from './planted/planted-bug.js';

const usage = `Runs the member of a seed through simulated faults and checks everything it says.

  npm run sim -- --seed=42             one seed
  npm run sim -- --seeds=1..1000       many
  npm run sim -- --seed=42 --members=3 a cluster: of 3 or 5, or of 1 as when not given
  npm run sim -- --seed=42 --trace     prints everything that happens
  npm run sim -- --seeds=1..50 --twice each seed twice: the traces must be the same
  npm run sim -- --seeds=1..50 --planted=<name>   with a known mistake, which must be found
                                       (${plantedBugs.map(({ name }) => name).join(', ')})
  npm run sim -- --seeds=1..50 --members=3 --mutant=<name>   with an engine that a patch of mutants/ was applied to
  npm run sim -- --seeds=1..100 --members=3 --profile=small   20 s and 1,000 operations each
  npm run sim -- --seed=42 --members=3 --shrink   the smallest world in which the same fails, as a scenario
  npm run sim -- --scenario=<file>     runs a scenario
  npm run sim -- --seeds=1..150 --mutant=all   looks for each of them, and prints a table
`;

interface Arguments {
  readonly first: number;
  readonly last: number;
  readonly members: number;
  readonly twice: boolean;
  readonly trace: boolean;
  readonly planted: PlantedBug | undefined;
  /** Put into the engine before this was loaded. */
  readonly mutant: string | undefined;
  /** Parts of the profile that are not to be drawn. */
  readonly profile: Partial<Profile> | undefined;
  readonly shrinks: boolean;
}

/** @throws Error when the file cannot be read, or is no scenario. */
function replay(path: string, trace: boolean): Arguments {
  const { seed, members, profile } = parseScenario(readFileSync(path, 'utf8'));
  const nothing = { planted: undefined, mutant: undefined, twice: false, shrinks: false };
  return { ...nothing, first: seed, last: seed, members, profile, trace };
}

/** @throws Error that says what is wrong with the arguments. */
function readArguments(args: readonly string[]): Arguments | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      trace: { type: 'boolean', default: false },
      twice: { type: 'boolean', default: false },
      members: { type: 'string', default: '1' },
      planted: { type: 'string' },
      mutant: { type: 'string' },
      profile: { type: 'string' },
      shrink: { type: 'boolean', default: false },
      scenario: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  if (values.scenario !== undefined) return replay(values.scenario, values.trace);
  if (values.profile !== undefined && values.profile !== 'small')
    throw new Error(`there is no profile "${values.profile}"; there is small`);
  const range = values.seeds ?? values.seed ?? '1..20';
  const match = /^(\d{1,9})(?:\.\.(\d{1,9}))?$/.exec(range);
  if (match === null) throw new Error(`"${range}" is neither a seed nor a range such as 1..100`);
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  if (last < first) throw new Error(`the range ${range} is empty`);
  const planted = plantedBugs.find(({ name }) => name === values.planted);
  if (values.planted !== undefined && planted === undefined) {
    throw new Error(`there is no planted mistake "${values.planted}"`);
  }
  if (!/^[1-7]$/.test(values.members))
    throw new Error(`"${values.members}" is no number of members from 1 to 7`);
  return {
    first,
    last,
    members: Number(values.members),
    twice: values.twice,
    trace: values.trace,
    planted,
    mutant: values.mutant,
    profile: values.profile === 'small' ? smallProfile : undefined,
    shrinks: values.shrink,
  };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** @returns the exit code: 0 when nothing was violated, 1 when something was, 2 for wrong arguments. */
export async function main(args: readonly string[]): Promise<number> {
  let options: Arguments | undefined;
  try {
    options = readArguments(args);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    return 2;
  }
  if (options === undefined) {
    print(usage);
    return 0;
  }
  if (options.mutant === 'all') {
    const { searchAll } = await import('./mutants/mutant-table.js');
    return searchAll(`${options.first}..${options.last}`, 90_000, print) === 0 ? 0 : 1;
  }
  if (options.shrinks) {
    const smaller = await shrink(options.first, options, print);
    print(JSON.stringify(smaller, undefined, 2));
    return 1;
  }
  let failures = 0;
  const faults = new FaultTable();
  for (let seed = options.first; seed <= options.last; seed++) {
    const result = await runOne(seed, options);
    if (result === undefined) return 1;
    faults.add(result);
    if (result.violation === undefined) continue;
    failures++;
    print(reportOf(result, options));
    if (options.mutant !== undefined) print(foundLine(result, seed - options.first + 1));
    if (options.planted === undefined) return 1;
  }
  if (options.last > options.first) {
    for (const line of faults.lines()) print(line);
    print(`${options.last - options.first + 1 - failures} seeds passed, ${failures} failed`);
  }
  return failures === 0 ? 0 : 1;
}

/** @returns undefined when the seed does not repeat itself: then nothing that it says can be trusted. */
async function runOne(
  seed: number,
  { planted, trace, twice, members, profile }: Arguments,
): Promise<RunResult | undefined> {
  const started = performance.now();
  const result = await runSeed(seed, { planted, members, profile, print: trace ? print : undefined });
  print(lineOf(result, performance.now() - started));
  if (!twice) return result;
  const again = await runSeed(seed, { planted, members, profile });
  if (again.hash === result.hash) return result;
  print(`seed ${seed} is not deterministic: its trace was ${result.hash}, then ${again.hash}`);
  return undefined;
}
