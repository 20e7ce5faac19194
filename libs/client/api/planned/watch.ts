import type { Observable } from 'rxjs';
import type {
  BatchCause,
  CacheStore,
  Duration,
  RevisionBatch,
  StateEntry,
  WatchOptions,
} from '../../src/index.js';

export interface IterateOptions extends WatchOptions {
  /**
   * Batches kept for a slow consumer; default 1,024. Beyond that the newest change of each key is kept and the next item
   * has the cause `conflated`: revisions in between are not delivered, the last state of every key is.
   */
  readonly highWaterMark?: number;
}

/** Added to Watches. */
export interface WatchesToCome {
  /** As `events`, pulled: leaving the loop, or aborting, ends the watch. */
  iterate(key: string, options?: IterateOptions): AsyncIterable<IteratedBatch>;
}
export type IteratedBatch = Omit<RevisionBatch, 'cause'> & { readonly cause: BatchCause | 'conflated' };

/** Added to StateOptions. */
export interface StateOptionsToCome {
  /** Read the range again and compare, in case a server lost a change; default every 10 minutes, 0 for never. */
  readonly resyncEvery?: Duration;
  /** Show what was last seen until the store answers, and keep it for next time. Default false. */
  readonly cache?: CacheStore | false;
}

/** Added to Freshness. */
export type FreshnessToCome =
  | { readonly kind: 'cached'; readonly savedAt: number }
  | { readonly kind: 'pinned'; readonly source: string };

/** Added: conflation for subscribers that are slower than the changes; the newest always arrives. */
export declare function latest<T>(): (source: Observable<T>) => AsyncIterable<T>;
export type EntriesOf<T> = ReadonlyMap<string, StateEntry<T>>;
