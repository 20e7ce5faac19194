import { etcdserverpb as pb, type mvccpb } from '@conclave/protocol';
import { Observable } from 'rxjs';
import { asConclaveError } from '../error-mapping.js';
import { type KeyRange } from '../key-range.js';
import { type KvStore } from '../kv-store.js';
import { RangeReader } from '../kv/range-reader.js';

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
      this.read(options, stop.signal).then(
        (listing) => {
          subscriber.next(listing);
          subscriber.complete();
        },
        (error: unknown) => subscriber.error(asConclaveError(error)),
      );
      return () => stop.abort();
    });
  }

  /** Everything at the revision of the first piece. */
  private async read({ revision, values, arrived }: ListOptions, signal: AbortSignal): Promise<Listing> {
    const { start: key, end: range_end } = this.range;
    const request = pb.RangeRequest.create({ key, range_end, revision, keys_only: !values });
    const reader = new RangeReader(this.store, request, { pageSize: 'by bytes', call: { signal } });
    const kvs: mvccpb.KeyValue[] = [];
    for await (const piece of reader.pieces()) {
      arrived?.(piece);
      for (const kv of piece) kvs.push(kv);
    }
    return { clusterId: reader.clusterId, revision: reader.revision, kvs };
  }
}
