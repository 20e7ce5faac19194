import { type etcdserverpb as pb, type mvccpb } from '@conclave/protocol';
import { throwIfCancelled } from '../cancellation.js';
import { asConclaveError } from '../error-mapping.js';
import { InvalidArgumentError, StoreReplacedError } from '../errors.js';
import { type Key, type KeyNamespace } from '../key-range.js';
import { type CallOptions, type KvStore } from '../kv-store.js';
import { rangeRequest } from './encode.js';
import { type RangeOptions } from './operations.js';

export interface PageOptions extends Omit<RangeOptions, 'sort' | 'countOnly'>, CallOptions {
  /** Entries per request; default 1,000. */
  readonly pageSize?: number;
}

const defaultPageSize = 1_000;
const zero = Buffer.of(0);

/**
 * A range that is read piece by piece.
 *
 * Invariants: all pieces are read at `revision`, which is 0n only before the first one, and from one cluster; everything
 * before `start` was read.
 */
export class PagedRange {
  private readonly request: pb.RangeRequest;
  private readonly pageSize: bigint;
  private readonly isFiltered: boolean;
  private start: Buffer;
  private revision: bigint;
  private clusterId = 0n;
  /** Undefined: no limit. */
  private left: bigint | undefined;
  private isDone = false;

  /** @throws InvalidArgumentError */
  constructor(
    private readonly store: KvStore,
    names: KeyNamespace,
    key: Key,
    private readonly options: PageOptions,
  ) {
    const pageSize = options.pageSize ?? defaultPageSize;
    if (!Number.isSafeInteger(pageSize) || pageSize < 1) {
      throw new InvalidArgumentError(`pageSize: ${pageSize} is not a whole number from 1 on`);
    }
    const { sort, countOnly } = options as RangeOptions;
    if (countOnly === true)
      throw new InvalidArgumentError('countOnly: there is nothing to page; use range()');
    if (sort !== undefined && (sort.by !== 'key' || sort.order !== 'ascend')) {
      throw new InvalidArgumentError('sort: pages come by key, ascending; use range() for another order');
    }
    this.request = rangeRequest(names, key, options);
    this.pageSize = BigInt(pageSize);
    this.start = this.request.key;
    this.revision = this.request.revision;
    this.left = this.request.limit === 0n ? undefined : this.request.limit;
    const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = options;
    this.isFiltered = [minModRevision, maxModRevision, minCreateRevision, maxCreateRevision].some(
      (r) => r !== undefined,
    );
  }

  /** A request per page. @throws CompactedError, StoreReplacedError, any other ConclaveError. */
  async *pages(): AsyncGenerator<readonly mvccpb.KeyValue[], void> {
    while (!this.isDone) {
      const page = await this.readPage();
      if (page.length > 0) yield page;
    }
  }

  /**
   * The first page by a request, which fixes the revision; the rest as a stream where the store has it. A stream that was
   * interrupted goes on with a request behind the last entry.
   */
  async *entries(): AsyncGenerator<mvccpb.KeyValue, void> {
    while (!this.isDone) {
      yield* await this.readPage();
      // Servers refuse filters in streams.
      const rest = this.isDone || this.isFiltered ? undefined : this.openRest();
      if (rest !== undefined) yield* this.readRest(rest);
    }
  }

  private async readPage(): Promise<readonly mvccpb.KeyValue[]> {
    throwIfCancelled(this.options.signal);
    const limit = this.left === undefined || this.left > this.pageSize ? this.pageSize : this.left;
    const request = { ...this.request, key: this.start, limit, revision: this.revision };
    const page = await this.readAt(request);
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
    const isFirst = this.clusterId === 0n;
    try {
      return await this.store.range(request, this.options);
    } catch (error) {
      // Only a member that lags does not have the revision of the first page yet.
      const lags = request.serializable && !isFirst && asConclaveError(error).code === 'future-revision';
      if (!lags) throw error;
      return this.store.range({ ...request, serializable: false }, this.options);
    }
  }

  private openRest(): AsyncIterable<pb.RangeResponse> | undefined {
    const { revision, start: key } = this;
    return this.store.rangeStream?.({ ...this.request, key, revision, limit: this.left ?? 0n }, this.options);
  }

  private async *readRest(rest: AsyncIterable<pb.RangeResponse>): AsyncGenerator<mvccpb.KeyValue, void> {
    try {
      for await (const piece of rest) {
        this.took(piece.kvs);
        yield* piece.kvs;
      }
      this.isDone = true;
    } catch (caught) {
      const error = asConclaveError(caught);
      if (!error.retryable || error.code === 'store-replaced') throw error;
    }
  }

  private took(kvs: readonly mvccpb.KeyValue[]): void {
    const last = kvs.at(-1);
    if (last === undefined) return;
    this.start = Buffer.concat([last.key, zero]);
    if (this.left === undefined) return;
    this.left -= BigInt(kvs.length);
    if (this.left <= 0n) this.isDone = true;
  }
}
