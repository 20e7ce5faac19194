import { assert } from '../platform/assert.js';
import { type ConfState, type Entry, type HardState, type MemberId, NO_MEMBER } from './message.js';

/** The chance that the core sees: election timeouts and the start of its request numbers. */
export interface RaftRandom {
  /** A whole number in [0, bound). `bound` is between 1 and 2^48. Two starts of one member must not repeat a sequence. */
  below(bound: number): number;
}

/** How one member behaves. Times are counted in calls of `tick()`; the host decides how long a tick is. */
export interface RaftConfig {
  /** This member; never 0n. */
  readonly id: MemberId;
  /**
   * A follower that hears no leader for this long to twice this long campaigns; a voter that heard its leader less than
   * this ago refuses to vote; a leader that heard no quorum within this time steps down. Above `heartbeatTicks`.
   */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** Bounds, both included, of the delay between `leaderUnreachable()` and the campaign. */
  readonly unreachableDelayTicks: { readonly min: number; readonly max: number };
  readonly random: RaftRandom;
  /** Appends on the way to one member, unacknowledged: messages and bytes of entries. */
  readonly maxInflightMessages: number;
  readonly maxInflightBytes: number;
  /** Bytes of entries in one append. One entry always fits, however large. */
  readonly maxMessageBytes: number;
  /** Bytes of proposed data that wait for their commit. Above it proposals are dropped; one always fits. */
  readonly maxUncommittedBytes: number;
  /** Applied entries that `compact` keeps for members that lag, as long as they total at most `maxRetainedBytes`. */
  readonly retainedEntries: number;
  readonly maxRetainedBytes: number;
}

/** What the host read back from its disk. A fresh member has term 0, an empty log and its initial configuration. */
export interface RecoveredState {
  readonly hardState: HardState;
  /**
   * The configuration in force at `applied`. Empty on a member that joins a running cluster and has not installed its
   * first state: it takes one from any leader, and never campaigns.
   */
  readonly confState: ConfState;
  /** The last index (and its term) that `entries` no longer contain: they begin at `snapshotIndex + 1`. */
  readonly snapshotIndex: number;
  readonly snapshotTerm: number;
  readonly entries: readonly Entry[];
  /** What the state machine holds already; at least `snapshotIndex`. May exceed `hardState.commit`, which lags. */
  readonly applied: number;
}

/** @throws AssertionError when a value is out of its range: the host has checked its options before. */
export function assertConfig(config: RaftConfig): void {
  assert(config.id > NO_MEMBER, 'the member id is above 0');
  assert(config.heartbeatTicks >= 1, 'heartbeatTicks is at least 1');
  assert(config.electionTicks > config.heartbeatTicks, 'electionTicks exceeds heartbeatTicks');
  assert(config.unreachableDelayTicks.min >= 1, 'unreachableDelayTicks.min is at least 1');
  assert(
    config.unreachableDelayTicks.max >= config.unreachableDelayTicks.min,
    'unreachableDelayTicks.max is at least min',
  );
  assert(config.maxInflightMessages >= 1, 'maxInflightMessages is at least 1');
  assert(config.maxInflightBytes >= 1, 'maxInflightBytes is at least 1');
  assert(config.maxMessageBytes >= 1, 'maxMessageBytes is at least 1');
  assert(config.maxUncommittedBytes >= 1, 'maxUncommittedBytes is at least 1');
  assert(config.retainedEntries >= 0, 'retainedEntries is not negative');
  assert(config.maxRetainedBytes >= 0, 'maxRetainedBytes is not negative');
}
