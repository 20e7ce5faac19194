import type { Observable } from 'rxjs';
import type {
  BatchCause,
  Duration,
  RevisionBatch,
  Revision,
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

/** A state as it lies in a cache: everything needed to show it, and to refuse it when it is another store's. */
export interface CachedState {
  /** Of the store that it was read from; a state of another store is never shown. */
  readonly clusterId: bigint;
  readonly revision: Revision;
  /** Milliseconds since the Unix epoch. */
  readonly savedAt: number;
  readonly entries: readonly {
    readonly key: string;
    readonly value: Uint8Array;
    readonly modRevision: Revision;
  }[];
}

/**
 * Where states survive a restart. `save` replaces as a whole: what was deleted is gone. A store that fails is a warning,
 * never an error of the reader.
 */
export interface CacheStore {
  /** Undefined: there is none, or it is damaged (reported as a warning). */
  load(id: string): Promise<CachedState | undefined>;
  save(id: string, state: CachedState): Promise<void>;
  /** What an operator pinned under this name; it wins over everything else until it is taken away. */
  pinned?(id: string): Promise<CachedState | undefined>;
}

export interface FileCacheOptions {
  /** Default: `conclave` under $XDG_CACHE_HOME, or under the temporary folder of the system. */
  readonly directory?: string;
  /** 32 bytes; values of keys that `secrets` names are encrypted with it (AES-256-GCM). Without it they are left out. */
  readonly key?: Uint8Array;
  readonly secrets?: (key: string) => boolean;
}

/** Files of mode 0600, written beside and renamed, with a checksum; `<id>.pinned.json` beside them is the pinned state. */
export declare function fileCache(options?: FileCacheOptions): CacheStore;

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
