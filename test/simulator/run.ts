import { type FaultCounts } from './world/storage-faults.js';
import { type PlantedBug } from './planted/planted-bug.js';
import { type NetworkCounts } from './network/network-counts.js';
import { type Profile } from './world/profile.js';
import { noWork, type WorkerCounts } from './workers/workforce.js';
import { Violation } from './world/violation.js';
import { World } from './world.js';

export interface RunOptions {
  readonly planted?: PlantedBug | undefined;
  /** Members of the cluster; 1 when not given. */
  readonly members?: number | undefined;
  /** Parts of the profile that are not to be drawn. */
  readonly profile?: Partial<Profile> | undefined;
  /** The effect of the disk at which the first crash comes. */
  readonly crashAt?: number | undefined;
  /** Gets every line of the trace. */
  readonly print?: ((line: string) => void) | undefined;
}

/** How a run ended; equal seeds give equal results. */
export interface RunResult {
  readonly seed: number;
  readonly members: number;
  readonly hash: string;
  readonly events: number;
  /** Answers that were judged. */
  readonly answers: number;
  readonly entries: number;
  readonly watchEvents: number;
  readonly expiries: number;
  readonly crashes: number;
  /** What clients asked for. */
  readonly operations: number;
  /** Terms that had a leader. */
  readonly leaders: number;
  /** Effects of the disk. */
  readonly effects: number;
  readonly faults: FaultCounts;
  readonly network: NetworkCounts;
  readonly workers: WorkerCounts;
  readonly virtualMs: number;
  /** Calls of clients whose answers a checker judged that knows nothing else. */
  readonly witnessed: number;
  readonly isUndecided: boolean;
  readonly violation: Pick<Violation, 'property' | 'message'> | undefined;
  /** The last lines of the trace. */
  readonly tail: readonly string[];
}

/** Runs the world of one seed to its end, or to the first violation. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const world = new World(seed, options);
  let violation: Violation | undefined;
  try {
    await world.play();
  } catch (error) {
    violation = error instanceof Violation ? error : unexpected(error);
  }
  const { trace, oracle, log, members, schedule, leaseCheck, counts, networkCounts, raftCheck } = world;
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  return {
    seed,
    members: options.members ?? 1,
    hash: trace.hash,
    events: trace.events,
    answers: oracle.answers,
    entries: log.last,
    watchEvents: sum(world.watchClients.map(({ delivered }) => delivered)),
    expiries: leaseCheck.expiries,
    crashes: sum(members.map(({ points }) => points.crashes)),
    operations: world.operations,
    leaders: raftCheck.leaderTerms,
    effects: sum(members.map(({ points }) => points.effects)),
    faults: counts,
    network: networkCounts,
    workers: world.workforce?.count() ?? noWork(),
    virtualMs: schedule.now,
    witnessed: world.history.length,
    isUndecided: world.isUndecided,
    violation,
    tail: trace.last,
  };
}

/** An exception out of the engine is a violation too: no input and no fault may lead there. */
function unexpected(error: unknown): Violation {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new Violation('S1', detail);
}
