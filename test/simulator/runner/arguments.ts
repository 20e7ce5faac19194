import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type PlantedBug } from '../planted/planted-bug.js';
import { plantedBugs } from '../planted/planted-bugs.js';
import { parseScenario } from '../scenario.js';
import { smallProfile, type Profile } from '../world/profile.js';

export const usage = `Runs the member of a seed through simulated faults and checks everything it says.

  npm run sim -- --seed=42             one seed
  npm run sim -- --seeds=1..1000       many
  npm run sim -- --seed=42 --members=3 a cluster: of 3 or 5, or of 1 as when not given
  npm run sim -- --seed=42 --trace     prints everything that happens
  npm run sim -- --seeds=1..50 --twice each seed twice: the traces must be the same (one seed in a hundred always is)
  npm run sim -- --seeds=1..10000 --members=3 --jobs=2 --quiet --keep-going
                                       on two cores; no line per seed; goes on behind a violation
  npm run sim -- --seeds=1..50 --planted=<name>   with a known mistake, which must be found
                                       (${plantedBugs.map(({ name }) => name).join(', ')})
  npm run sim -- --seeds=1..50 --members=3 --mutant=<name>   with an engine that a patch of mutants/ was applied to
  npm run sim -- --seeds=1..100 --members=3 --profile=small   20 s and 1,000 operations each
  npm run sim -- --seed=42 --members=3 --shrink   the smallest world in which the same fails, as a scenario
  npm run sim -- --scenario=<file>     runs a scenario; --seeds=1..50 beside it runs its world with other seeds
  npm run sim -- --seeds=1..150 --mutant=all   looks for each of them, and prints a table
  npm run sim -- --within=90 …         ends after so many CPU seconds
  npm run sim -- --seeds=1..200 --members=3 --jobs=2 --quiet --coverage
                                       at the end, every line of the engine that none of the seeds has run
`;

/** What to run. */
export interface Arguments {
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
  readonly profileName: string;
  readonly worldArguments: string;
  readonly shrinks: boolean;
  /** Processes that run seeds at the same time. */
  readonly jobs: number;
  readonly isQuiet: boolean;
  /** A violation does not end the run. */
  readonly goesOn: boolean;
  /** CPU seconds, without those of other jobs. */
  readonly within: number;
  /** Tells at the end what was not run. */
  readonly covers: boolean;
  /** Another process hands out the seeds. */
  readonly isWorker: boolean;
}

const options = {
  seed: { type: 'string' },
  seeds: { type: 'string' },
  trace: { type: 'boolean', default: false },
  twice: { type: 'boolean', default: false },
  members: { type: 'string' },
  planted: { type: 'string' },
  mutant: { type: 'string' },
  profile: { type: 'string' },
  shrink: { type: 'boolean', default: false },
  scenario: { type: 'string' },
  jobs: { type: 'string', default: '1' },
  quiet: { type: 'boolean', default: false },
  'keep-going': { type: 'boolean', default: false },
  within: { type: 'string', default: '1000000' },
  coverage: { type: 'boolean', default: false },
  worker: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** @returns undefined when help was asked for. @throws Error that says what is wrong with the arguments. */
export function readArguments(args: readonly string[]): Arguments | undefined {
  const { values } = parseArgs({ args: [...args], options });
  if (values.help) return undefined;
  if (values.profile !== undefined && values.profile !== 'small')
    throw new Error(`there is no profile "${values.profile}"; there is small`);
  const scenario =
    values.scenario === undefined ? undefined : parseScenario(readFileSync(values.scenario, 'utf8'));
  const planted = plantedBugs.find(({ name }) => name === values.planted);
  if (values.planted !== undefined && planted === undefined) {
    throw new Error(`there is no planted mistake "${values.planted}"`);
  }
  if (values.mutant !== undefined && values.jobs !== '1')
    throw new Error('a mutant is searched by one process; leave --jobs out');
  return {
    ...readRange(values.seeds ?? values.seed ?? scenario?.seed.toString() ?? '1..20'),
    members: readCount(
      'members',
      values.members ?? (scenario?.members ?? planted?.members ?? 1).toString(),
      7,
    ),
    twice: values.twice,
    trace: values.trace,
    planted,
    mutant: values.mutant,
    profile: scenario?.profile ?? (values.profile === 'small' ? smallProfile : planted?.profile),
    profileName: values.scenario ?? values.profile ?? 'as drawn',
    worldArguments:
      (values.profile === undefined ? '' : ` --profile=${values.profile}`) +
      (values.scenario === undefined ? '' : ` --scenario=${values.scenario}`),
    shrinks: values.shrink,
    jobs: readCount('jobs', values.jobs, 64),
    isQuiet: values.quiet,
    goesOn: values['keep-going'] || planted !== undefined,
    within: readCount('within', values.within, 1_000_000),
    covers: values.coverage,
    isWorker: values.worker,
  };
}

function readRange(range: string): { readonly first: number; readonly last: number } {
  const match = /^(\d{1,9})(?:\.\.(\d{1,9}))?$/.exec(range);
  if (match === null) throw new Error(`"${range}" is neither a seed nor a range such as 1..100`);
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  if (last < first) throw new Error(`the range ${range} is empty`);
  return { first, last };
}

function readCount(name: string, text: string, most: number): number {
  const count = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > most) throw new Error(`--${name}=${text}: give a number from 1 to ${most}`);
  return count;
}
