import { parseArgs } from 'node:util';
import { plantedBugs } from './planted/planted-bugs.js';
import { lineOf, reportOf } from './report.js';
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
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
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
  let failures = 0;
  for (let seed = options.first; seed <= options.last; seed++) {
    const result = await runOne(seed, options);
    if (result === undefined) return 1;
    if (result.violation === undefined) continue;
    failures++;
    print(reportOf(result, options));
    if (options.planted === undefined) return 1;
  }
  if (options.last > options.first)
    print(`${options.last - options.first + 1 - failures} seeds passed, ${failures} failed`);
  return failures === 0 ? 0 : 1;
}

/** @returns undefined when the seed does not repeat itself: then nothing that it says can be trusted. */
async function runOne(
  seed: number,
  { planted, trace, twice, members }: Arguments,
): Promise<RunResult | undefined> {
  const started = performance.now();
  const result = await runSeed(seed, { planted, members, print: trace ? print : undefined });
  print(lineOf(result, performance.now() - started));
  if (!twice) return result;
  const again = await runSeed(seed, { planted, members });
  if (again.hash === result.hash) return result;
  print(`seed ${seed} is not deterministic: its trace was ${result.hash}, then ${again.hash}`);
  return undefined;
}
