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

  /** All pages at the revision of the first one. */
  private async pages(options: ListOptions, signal: AbortSignal): Promise<Listing> {
    const kvs: mvccpb.KeyValue[] = [];
    let start = this.range.start;
    let { revision } = options;
    let bytes = 0;
    for (let limit = firstPage; ;) {
      const request = pb.RangeRequest.create({
        key: start,
        range_end: this.range.end,
        limit: BigInt(limit),
        revision,
        keys_only: !options.values,
      });
      const page = await this.store.range(request, { signal });
      const now = page.header?.revision ?? 0n;
      if (revision === 0n) revision = now;
      for (const kv of page.kvs) {
        kvs.push(kv);
        bytes += entryBytes + kv.key.length + kv.value.length;
      }
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined)
        return { clusterId: page.header?.cluster_id ?? 0n, revision, kvs };
      start = Buffer.concat([last.key, zero]);
      limit = Math.min(largestPage, Math.max(1, Math.floor((pageBytes * kvs.length) / bytes)));
    }
  }
}
