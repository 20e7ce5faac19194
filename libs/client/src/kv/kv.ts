import { type Key, type KeyNamespace, type Value } from '../key-range.js';
import { type CallOptions, type KvStore } from '../kv-store.js';
import { deleteRequest, putRequest, rangeRequest } from './encode.js';
import { type Entry, type Revision, toEntry, toEntryOrNull } from './entry.js';
import { type DeleteOptions, type PutOptions, type RangeOptions, type ReadOptions } from './operations.js';
import { pagedRange, type PageOptions } from './paged-range.js';
import { TxnBuilder } from './txn.js';

export interface RangeResult {
  /** The revision of the store when it answered, also for a read of the past. */
  readonly revision: Revision;
  readonly entries: readonly Entry[];
  /** True when the limit kept entries out. */
  readonly more: boolean;
  /** All keys of the range at that revision, whatever the limit and the filters. */
  readonly count: bigint;
}

export interface PutResult {
  /** The revision that this put made. */
  readonly revision: Revision;
  /** The entry before, when `prevKv` asked for it and there was one. */
  readonly previous: Entry | null;
}

export interface DeleteResult {
  /** The revision of the store after the delete; unchanged when nothing was deleted. */
  readonly revision: Revision;
  readonly deleted: bigint;
  readonly previous: readonly Entry[];
}

/**
 * The keys and values of the store, under the client's key prefix.
 *
 * Every method rejects with a ConclaveError. Reads are linearizable unless asked otherwise and are repeated on another
 * member when one fails. Writes are never repeated blindly: when an answer is lost they reject with MaybeAppliedError.
 */
export class Kv {
  constructor(
    private readonly store: KvStore,
    private readonly names: KeyNamespace,
  ) {}

  /** The entry of one key, or null when it does not exist. */
  async get(key: Key, options: ReadOptions & CallOptions = {}): Promise<Entry | null> {
    const { entries } = await this.range(key, options);
    return entries[0] ?? null;
  }

  /** The entries of a range, at one revision. */
  async range(key: Key, options: RangeOptions & CallOptions = {}): Promise<RangeResult> {
    const answer = await this.store.range(rangeRequest(this.names, key, options), options);
    return {
      revision: answer.header?.revision ?? 0n,
      entries: answer.kvs.map((kv) => toEntry(kv, this.names)),
      more: answer.more,
      count: answer.count,
    };
  }

  /**
   * A range of any size, a page at a time, by key, all at the revision of the first page (or the one that is asked for).
   * The next page is asked for when the loop does; `timeoutMs` bounds each.
   *
   * @throws InvalidArgumentError at once; while it is iterated CompactedError when that revision was compacted before the
   *   last page, and any other ConclaveError.
   */
  pages(key: Key, options: PageOptions = {}): AsyncIterable<readonly Entry[]> {
    const range = pagedRange(this.store, this.names, key, options);
    return mapped(range.pages(), (kvs) => kvs.map((kv) => toEntry(kv, this.names)));
  }

  /**
   * The same entry by entry: as one stream of the server behind the first page, where it has RangeStream, and no faster
   * than the loop takes them; in pages otherwise.
   *
   * @throws as {@link pages}
   */
  stream(key: Key, options: PageOptions = {}): AsyncIterable<Entry> {
    const range = pagedRange(this.store, this.names, key, options);
    return flattened(range.pieces(), (kv) => toEntry(kv, this.names));
  }

  async put(key: Key, value: Value, options: PutOptions & CallOptions = {}): Promise<PutResult> {
    const answer = await this.store.put(putRequest(this.names, key, value, options), options);
    return {
      revision: answer.header?.revision ?? 0n,
      previous: toEntryOrNull(answer.prev_kv, this.names),
    };
  }

  /** Deletes one key or a range. Deleting nothing is no error. */
  async delete(key: Key, options: DeleteOptions & CallOptions = {}): Promise<DeleteResult> {
    const answer = await this.store.deleteRange(deleteRequest(this.names, key, options), options);
    return {
      revision: answer.header?.revision ?? 0n,
      deleted: answer.deleted,
      previous: answer.prev_kvs.map((kv) => toEntry(kv, this.names)),
    };
  }

  /** Starts a transaction: `kv.txn().if(compare.missing('k')).do(op.put('k', 'v')).else(op.get('k')).commit()`. */
  txn(): TxnBuilder {
    return new TxnBuilder(this.store, this.names);
  }

  /**
   * Forgets the history before this revision. `physical`: answer only after the space is free.
   *
   * @throws CompactedError (rejects) when it is compacted already; code `future-revision` when it does not exist yet.
   */
  async compact(
    revision: Revision,
    options: { readonly physical?: boolean } & CallOptions = {},
  ): Promise<void> {
    await this.store.compact({ revision, physical: options.physical ?? false }, options);
  }
}

/** Every loop over the result reads the same source: it can be read once. */
async function* mapped<S, T>(source: AsyncIterable<S>, change: (item: S) => T): AsyncGenerator<T, void> {
  for await (const item of source) yield change(item);
}

async function* flattened<S, T>(
  source: AsyncIterable<readonly S[]>,
  change: (item: S) => T,
): AsyncGenerator<T, void> {
  for await (const items of source) for (const item of items) yield change(item);
}
