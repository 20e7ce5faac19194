import { type ConfState, type Entry, type HardState } from '../raft/message.js';

/** Who a log belongs to; written into every segment, so that a foreign file is never replayed. */
export interface WalMetadata {
  readonly clusterId: bigint;
  readonly memberId: bigint;
}

/**
 * The place where the log starts: everything up to `index` is held by a snapshot or by the backend. Entries of the
 * log follow from `index + 1`. A new log has the mark of index 0 and term 0, without members.
 */
export interface LogMark {
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
}

/** A tail that was written but never acknowledged, and cannot be read in full: the sign of a crash during a write. */
export interface TornTail {
  /** Name of the segment file. */
  readonly segment: string;
  /** Where the first unreadable record starts. */
  readonly offset: number;
  /** The sequence number that record would have. */
  readonly lsn: number;
  /** Bytes from there to the last that this segment may have written. */
  readonly bytes: number;
  /** Raft index of the first entry that may have been dropped. */
  readonly firstIndexDropped: number;
}

/** What an existing log held when it was opened. */
export interface RecoveredLog {
  readonly metadata: WalMetadata;
  readonly hardState: HardState;
  readonly mark: LogMark;
  /** Consecutive, from `mark.index + 1`. */
  readonly entries: readonly Entry[];
  readonly report: { readonly torn: TornTail | undefined; readonly segments: number; readonly bytes: number };
}

export const emptyHardState: HardState = { term: 0, vote: 0n, commit: 0 };
export const emptyConfState: ConfState = {
  voters: [],
  learners: [],
  outgoing: [],
  learnersNext: [],
  autoLeave: false,
};
export const emptyMark: LogMark = { index: 0, term: 0, confState: emptyConfState };
