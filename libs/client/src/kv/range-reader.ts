import { Buffer } from 'node:buffer';
import { type etcdserverpb as pb, type mvccpb } from '@conclave/protocol';
import { throwIfCancelled } from '../cancellation.js';
import { asConclaveError } from '../error-mapping.js';
import { StoreReplacedError } from '../errors.js';
import { type CallOptions, type KvStore } from '../kv-store.js';

/** Entries of a range that follow each other. */
export type Piece = readonly mvccpb.KeyValue[];

export interface RangeReaderOptions {
  /** Entries of a page; `by bytes`: 1,000 first, then as many as fit into 4 MiB by the mean size of those that came. */
  readonly pageSize: number | 'by bytes';
  readonly call: CallOptions;
}

const firstPage = 1_000;
const pageBytes = 4 * 1024 * 1024;
const largestPage = 20_000;
/** What an entry costs beside its key and its value. */
const entryBytes = 64;
const zero = Buffer.of(0);

/**
 * Reads a range piece by piece, by key.
 *
 * Invariants: all pieces are of one `revision`, which is 0n only before the first one, and from one cluster; everything
 * before `start` was read.
 */
export class RangeReader {
  /** 0n before the first piece, unless the request had one. */
  revision: bigint;
  /** 0n before the first piece. */
  clusterId = 0n;
  private start: Buffer;
  private limit: number;
  /** Undefined: no limit. */
  private left: bigint | undefined;
  private entries = 0;
  private bytes = 0;
  private isDone = false;

  /** @param request `limit` counts all pieces together, 0n for none; without an order of its own. */
  constructor(
    private readonly store: KvStore,
    private readonly request: pb.RangeRequest,
    private readonly options: RangeReaderOptions,
  ) {
    const { pageSize } = options;
    this.start = request.key;
    this.revision = request.revision;
    this.limit = pageSize === 'by bytes' ? firstPage : pageSize;
    this.left = request.limit === 0n ? undefined : request.limit;
  }

  /** A request per page. @throws CompactedError, StoreReplacedError, any other ConclaveError. */
  async *pages(): AsyncGenerator<Piece, void> {
    while (!this.isDone) {
      const page = await this.readPage();
      if (page.length > 0) yield page;
    }
  }

  /**
   * The first page by a request, which fixes the revision; the rest as a stream where the store has it. A stream that was
   * interrupted goes on with a request behind the last entry.
   *
   * @throws as `pages`
   */
  async *pieces(): AsyncGenerator<Piece, void> {
    while (!this.isDone) {
      const page = await this.readPage();
      if (page.length > 0) yield page;
      const rest = this.isDone || this.isFiltered ? undefined : this.openRest();
      if (rest !== undefined) yield* this.readRest(rest);
    }
  }

  /** Servers refuse filters in streams. */
  private get isFiltered(): boolean {
    const { min_mod_revision, max_mod_revision, min_create_revision, max_create_revision } = this.request;
    const filters = [min_mod_revision, max_mod_revision, min_create_revision, max_create_revision];
    return filters.some((revision) => revision !== 0n);
  }

  private async readPage(): Promise<Piece> {
    throwIfCancelled(this.options.call.signal);
    const size = BigInt(this.limit);
    const limit = this.left === undefined || this.left > size ? size : this.left;
    const page = await this.readAt({ ...this.request, key: this.start, limit, revision: this.revision });
    const { header, kvs } = page;
    if (header !== undefined) {
      if (this.clusterId !== 0n && this.clusterId !== header.cluster_id) {
        throw new StoreReplacedError('the store was replaced between two pages');
      }
      this.clusterId = header.cluster_id;
      if (this.revision === 0n) this.revision = header.revision;
    }
    this.took(kvs);
    if (!page.more || kvs.length === 0) this.isDone = true;
    return kvs;
  }

  private async readAt(request: pb.RangeRequest): Promise<pb.RangeResponse> {
    const { call } = this.options;
    const isFirst = this.clusterId === 0n;
    try {
      return await this.store.range(request, call);
    } catch (error) {
      // Only a member that lags does not have the revision of the first page yet.
      const lags = request.serializable && !isFirst && asConclaveError(error).code === 'future-revision';
      if (!lags) throw error;
      return this.store.range({ ...request, serializable: false }, call);
    }
  }

  private openRest(): AsyncIterable<pb.RangeResponse> | undefined {
    const { revision, start: key, left: limit = 0n } = this;
    return this.store.rangeStream?.({ ...this.request, key, revision, limit }, this.options.call);
  }

  private async *readRest(rest: AsyncIterable<pb.RangeResponse>): AsyncGenerator<Piece, void> {
    try {
      for await (const { kvs } of rest) {
        this.took(kvs);
        yield kvs;
      }
      this.isDone = true;
    } catch (caught) {
      const error = asConclaveError(caught);
      if (!error.retryable || error.code === 'store-replaced') throw error;
    }
  }

  private took(kvs: Piece): void {
    const last = kvs.at(-1);
    if (last === undefined) return;
    this.start = Buffer.concat([last.key, zero]);
    if (this.options.pageSize === 'by bytes') this.measure(kvs);
    if (this.left === undefined) return;
    this.left -= BigInt(kvs.length);
    if (this.left <= 0n) this.isDone = true;
  }

  private measure(kvs: Piece): void {
    this.entries += kvs.length;
    for (const { key, value } of kvs) this.bytes += entryBytes + key.length + value.length;
    this.limit = Math.min(largestPage, Math.max(1, Math.floor((pageBytes * this.entries) / this.bytes)));
  }
}
