import { type Clock } from '../platform/clock.js';
import { type AppliedMark } from './backend.js';
import { type MemoryStatesOptions } from './memory-states.js';

/** One flush in progress: its owner calls exactly one of the two, at any later time, or never (a crash). */
export interface PendingFlush {
  readonly mark: AppliedMark;
  /** The flush is durable now. */
  complete(): void;
  /** The flush failed for good. @returns false when nobody cares any more: a state was installed, or the backend is closed. */
  fail(error: Error): boolean;
}

export interface MemoryBackendOptions {
  /**
   * Decides when a flush becomes durable. Default: at the end of the current microtask. At most one flush is in
   * progress at a time.
   */
  readonly onFlush?: (flush: PendingFlush) => void;
  /** With a clock, a generation also closes `generationAgeMs` after its first boundary. */
  readonly clock?: Clock;
  /** Default 50,000. */
  readonly generationRowsMax?: number;
  /** Default 2,000. */
  readonly generationAgeMs?: number;
  /**
   * Overwrites what a read returned as soon as the next call comes, as the file's own buffers do, so that a caller
   * that keeps a value beyond its lifetime is found by its tests. Default true.
   */
  readonly poisonsReads?: boolean;
  /** What `copyTo` and `install` need; without it they reject. */
  readonly states?: MemoryStatesOptions;
}
