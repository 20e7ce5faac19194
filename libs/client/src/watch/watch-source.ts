import { etcdserverpb as pb, type mvccpb } from '@conclave/protocol';
import { Observable } from 'rxjs';
import { asConclaveError } from '../error-mapping.js';
import { type KeyRange } from '../key-range.js';
import { type KvStore } from '../kv-store.js';

/** The keys of a range at one revision. */
export interface Listing {
  readonly clusterId: bigint;
  readonly revision: bigint;
  readonly kvs: readonly mvccpb.KeyValue[];
}

export interface ListOptions {
  readonly values: boolean;
  /** 0n: now, including every write that was acknowledged before. */
  readonly revision: bigint;
  /** Told of all entries piece by piece, in order, before the listing is whole: what is made of them is made while the rest comes. */
  readonly arrived?: (kvs: readonly mvccpb.KeyValue[]) => void;
}

/** What a watch of one range needs from the store. Both observables are cold and fail with a ConclaveError. */
export interface WatchSource {
  /** One watch on one stream, beginning with the changes of revision `from`. */
  open(from: bigint): Observable<pb.WatchResponse>;
  /** Emits once and completes. */
  list(options: ListOptions): Observable<Listing>;
}

export interface SourceOptions {
  readonly prevKv: boolean;
  readonly puts: boolean;
  readonly deletes: boolean;
}

/** So many entries are asked for first; then as many as fit into `pageBytes`, by the mean size of those that came. */
const firstPage = 1_000;
const pageBytes = 4 * 1024 * 1024;
const largestPage = 20_000;
/** What an entry costs beside its key and its value. */
const entryBytes = 64;
const zero = Buffer.of(0);

/**
 * A range of a KvStore. Every watch has a stream of its own: a slow one holds up no other, and a progress report on the
 * stream is about this watch and nothing else.
 */
export class StoreWatchSource implements WatchSource {
  constructor(
    private readonly store: KvStore,
    private readonly range: KeyRange,
    private readonly options: SourceOptions,
  ) {}

  open(from: bigint): Observable<pb.WatchResponse> {
    return new Observable((subscriber) => {
      const stream = this.store.watch({
        // Subscribers run outside of the transport's call: what they do, or throw, is no business of the connection.
        next: (response) => queueMicrotask(() => subscriber.next(response)),
        error: (error) => queueMicrotask(() => subscriber.error(error)),
      });
      const filters: pb.WatchCreateRequest_FilterType[] = [];
      if (!this.options.puts) filters.push(pb.WatchCreateRequest_FilterType.NOPUT);
      if (!this.options.deletes) filters.push(pb.WatchCreateRequest_FilterType.NODELETE);
      stream.send({
        request_union: {
          $case: 'create_request',
          value: {
            key: this.range.start,
            range_end: this.range.end,
            start_revision: from,
            progress_notify: true,
            filters,
            prev_kv: this.options.prevKv,
            watch_id: 0n,
            fragment: true,
          },
        },
      });
      return () => stream.cancel('done');
    });
  }

  list(options: ListOptions): Observable<Listing> {
    return new Observable((subscriber) => {
      const stop = new AbortController();
      this.pages(options, stop.signal).then(
        (listing) => {
          subscriber.next(listing);
          subscriber.complete();
        },
        (error: unknown) => subscriber.error(asConclaveError(error)),
      );
      return () => stop.abort();
    });
  }

  /** Everything at the revision of the first page. Where the store has streams, the rest comes as one, while the store reads on. */
  private async pages(options: ListOptions, signal: AbortSignal): Promise<Listing> {
    const list = new GrowingList(this.range, options);
    let page = await this.store.range(list.nextRequest(), { signal });
    const { cluster_id: clusterId = 0n, revision: now = 0n } = page.header ?? {};
    list.revision = options.revision === 0n ? now : options.revision;
    for (; list.take(page.kvs, page.more); page = await this.store.range(list.nextRequest(), { signal })) {
      if (await this.readRest(list, signal)) break;
    }
    return { clusterId, revision: list.revision, kvs: list.kvs };
  }

  /** False when pages have to be asked for, behind what is there by then. */
  private async readRest(list: GrowingList, signal: AbortSignal): Promise<boolean> {
    const rest = this.store.rangeStream?.({ ...list.nextRequest(), limit: 0n }, { signal });
    if (rest === undefined) return false;
    try {
      for await (const piece of rest) list.take(piece.kvs, true);
      return true;
    } catch (caught) {
      const error = asConclaveError(caught);
      if (!error.retryable || error.code === 'store-replaced') throw error;
      return false;
    }
  }
}

/** What of a range was read so far: all that is before `start`, at `revision`, which is 0n only before the first page. */
class GrowingList {
  readonly kvs: mvccpb.KeyValue[] = [];
  revision: bigint;
  private start: Buffer;
  private limit = firstPage;
  private bytes = 0;

  constructor(
    private readonly range: KeyRange,
    private readonly options: ListOptions,
  ) {
    this.revision = options.revision;
    this.start = range.start;
  }

  nextRequest(): pb.RangeRequest {
    return pb.RangeRequest.create({
      key: this.start,
      range_end: this.range.end,
      limit: BigInt(this.limit),
      revision: this.revision,
      keys_only: !this.options.values,
    });
  }

  /** Takes what follows in the range. @returns false when that was the end. */
  take(kvs: readonly mvccpb.KeyValue[], hasMore: boolean): boolean {
    this.options.arrived?.(kvs);
    for (const kv of kvs) {
      this.kvs.push(kv);
      this.bytes += entryBytes + kv.key.length + kv.value.length;
    }
    const last = kvs.at(-1);
    if (last === undefined) return false;
    this.start = Buffer.concat([last.key, zero]);
    this.limit = Math.min(largestPage, Math.max(1, Math.floor((pageBytes * this.kvs.length) / this.bytes)));
    return hasMore;
  }
}
