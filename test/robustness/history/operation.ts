/** What a client asks for. Every write but a plain delete leaves its operation's id in the store, so that it is found there. */
export type Request =
  | { readonly kind: 'put'; readonly key: string; readonly lease: bigint; readonly padding: number }
  /** Removes one key, nothing else. Only keys that never carry a lease are removed so. */
  | { readonly kind: 'delete'; readonly key: string }
  /** Puts the same value under all `puts`, after it removed `remove` if given; one revision. */
  | { readonly kind: 'batch'; readonly puts: readonly string[]; readonly remove: string | undefined }
  /** Puts if the key's last change is still `expected` (0: there is no key), else reads it. */
  | { readonly kind: 'swap'; readonly key: string; readonly expected: number }
  /** `isLocal`: as the member that is asked knows it, which may be long past. */
  | { readonly kind: 'read'; readonly key: string; readonly isLocal?: boolean }
  | { readonly kind: 'grant'; readonly lease: bigint; readonly ttlSeconds: number }
  | { readonly kind: 'renew'; readonly lease: bigint }
  | { readonly kind: 'revoke'; readonly lease: bigint };

/** A value as the checker needs it: the id of the operation that wrote it and its length in bytes. */
export interface FoundKey {
  readonly key: string;
  readonly writer: string;
  readonly bytes: number;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

/**
 * How an operation ended for its caller. `failed`: the answer proves that nothing happened. `unknown`: the connection was
 * lost, or time ran out; it happened once or never.
 */
export type Outcome =
  | {
      readonly kind: 'done';
      /** The revision in the header of the answer. */
      readonly revision: number;
      /** For swaps: whether the comparison held. */
      readonly succeeded?: boolean;
      /** For deletes, and for batches that remove: how many keys were removed. */
      readonly deleted?: number;
      /** For renewals: the seconds that the lease has from now on; 0: there is no such lease. */
      readonly ttlSeconds?: number;
      /** For reads and for swaps that did not succeed. */
      readonly found?: FoundKey | undefined;
    }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly reason: string };

/** One operation as its caller saw it. */
export interface Operation {
  /** Unique in its history, without a colon. */
  readonly id: string;
  readonly request: Request;
  /** Places in the one order of all calls and answers of the history. */
  readonly calledAt: number;
  readonly answeredAt: number;
  /** When it was sent, on the monotonic clock of the clients. */
  readonly sentMs: number;
  /** When it was answered or given up, on the same clock. */
  readonly answeredMs: number;
  readonly outcome: Outcome;
}

/** One event of a watch. Of a deletion, only `key` and `modRevision` mean something. */
export interface SeenEvent extends FoundKey {
  readonly kind: 'put' | 'delete';
}

/** What one watcher was told, over all its connections, and what it should have been told. */
export interface WatchLog {
  readonly name: string;
  /** The revision from which it wanted everything. */
  readonly from: number;
  /** The revision at which it stopped listening; by default it listened to the end. */
  readonly to?: number;
  readonly matches: (key: string) => boolean;
  readonly events: readonly SeenEvent[];
}

/** All keys as a read at `revision` gave them. */
export interface Snapshot {
  readonly taken: string;
  readonly revision: number;
  readonly keys: readonly FoundKey[];
}

/** Everything that clients learnt about one member, to be judged. */
export interface History {
  readonly operations: readonly Operation[];
  /** The events of all keys from revision 2 on, complete. */
  readonly log: readonly SeenEvent[];
  readonly watches: readonly WatchLog[];
  readonly snapshots: readonly Snapshot[];
  /** When an event of a revision was first seen by anybody, on the clock of `sentMs`. */
  readonly arrivalMs: ReadonlyMap<number, number>;
}

/** The value that an operation writes: its id, and as many bytes more as it wants. */
export function valueOf(id: string, padding: number): Buffer {
  return Buffer.from(`${id}:${'.'.repeat(padding)}`, 'latin1');
}

/** The operation that wrote a value. */
export function writerOf(value: Buffer): string {
  const end = value.indexOf(0x3a);
  return end < 0 ? `a value that nobody wrote (${value.length} bytes)` : value.toString('latin1', 0, end);
}
