import { type Revision } from '../kv/entry.js';

/** A state as it lies in a cache: everything needed to show it, and to refuse it when it is another store's. */
export interface CachedState {
  /** Of the store that it was read from. The reader shows no state of another store than the one it is connected to. */
  readonly clusterId: bigint;
  /** The newest revision that the state includes. */
  readonly revision: Revision;
  /** Milliseconds since the Unix epoch. */
  readonly savedAt: number;
  readonly entries: readonly CachedEntry[];
}

export interface CachedEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly modRevision: Revision;
}

/** What an operator wrote by hand. */
export interface PinnedState {
  /** Where it stands, for people. */
  readonly source: string;
  /** By name; what the names and the JSON values mean is the reader's business. */
  readonly entries: ReadonlyMap<string, unknown>;
}

/**
 * Where states survive a restart. Ids are lists of names. No method of an implementation of ours rejects: what fails is a warning.
 * A reader takes a rejection of a foreign implementation for a warning too.
 */
export interface CacheStore {
  /** Undefined: there is none, or it is damaged. */
  load(id: readonly string[]): Promise<CachedState | undefined>;
  /** Replaces the state as a whole: what is not in it any more is gone. Resolves when this state, or a newer one, is durable. */
  save(id: readonly string[], state: CachedState): Promise<void>;
  /** What an operator pinned under this id, if anything; read again from time to time. */
  pinned?(id: readonly string[]): Promise<PinnedState | undefined>;
}
