import { runSeed, type RunResult } from '../run.js';
import { type Arguments } from './arguments.js';

/** What became of one seed. */
export interface SeedOutcome {
  readonly result: RunResult;
  readonly wallMs: number;
  readonly cpuSeconds: number;
  /** The trace of a second run, when there was one. */
  readonly secondHash: string | undefined;
}

/** Of so many seeds one is run twice: a world that does not repeat itself is no evidence. */
const repeatedShare = 100;

export async function runJob(
  seed: number,
  { planted, members, profile, twice }: Pick<Arguments, 'planted' | 'members' | 'profile' | 'twice'>,
  print?: (line: string) => void,
): Promise<SeedOutcome> {
  const started = performance.now();
  const before = process.cpuUsage();
  const result = await withoutStacks(() => runSeed(seed, { planted, members, profile, print }));
  const wallMs = performance.now() - started;
  const isRepeated = twice || (seed % repeatedShare === 0 && result.violation === undefined);
  const secondHash = isRepeated ? (await runSeed(seed, { planted, members, profile })).hash : undefined;
  const { user, system } = process.cpuUsage(before);
  return { result, wallMs, cpuSeconds: (user + system) / 1e6, secondHash };
}

/** Engines make many errors that nobody reads the stack of. A run that fails is made again, with stacks. */
async function withoutStacks(run: () => Promise<RunResult>): Promise<RunResult> {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const result = await run();
  Error.stackTraceLimit = before;
  return result.violation === undefined ? result : run();
}
