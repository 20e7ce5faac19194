import { type etcdserverpb } from '@conclave/protocol';
import { type Observable } from 'rxjs';
import { type ConclaveError } from './errors.js';

export interface CallOptions {
  /** Aborting rejects with CancelledError; a write that was already sent may still be applied. */
  readonly signal?: AbortSignal;
  /** Bound of the whole call with its retries, in milliseconds. Default: the client's request timeout. */
  readonly timeoutMs?: number;
}

/** Where a stream of the store delivers. `error` is the last call; after `cancel` nothing comes any more. */
export interface StreamObserver<T> {
  next(message: T): void;
  /** The stream is over, also when the server ended it in peace. `retryable` says whether to open another one. */
  error(error: ConclaveError): void;
}

/** The sending half of a stream. Never throws; what cannot be sent any more is dropped, since `error` will tell. */
export interface RequestStream<T> {
  send(message: T): void;
  /** `stalled`: answers are overdue, so the connection below deserves a check. */
  cancel(why?: 'done' | 'stalled'): void;
}

/** The store is not the one that was seen before: another cluster, or the same one restored to an earlier revision. */
export interface StoreReplacement {
  readonly previousClusterId: bigint;
  readonly clusterId: bigint;
}

/**
 * The port that everything else in the SDK, and the config center, is built on: the key-value, watch and lease calls of
 * the etcd v3 API on plain messages. Implementations: remote members over gRPC, a member in the same machine, and the
 * in-memory store of the tests.
 *
 * Contract of every implementation:
 * - All promises reject with a `ConclaveError`.
 * - Calls that change nothing, and calls that provably never reached a member, are retried inside until the timeout.
 *   A write whose outcome is unknown is never sent twice: it rejects with `MaybeAppliedError`.
 * - Reads never go back in time: a read that starts after an answer at revision R is answered at R or later, or rejects
 *   with `StoreReplacedError` after `replaced$` told about it. Only serializable reads may, where the user has said so
 *   (`monotonicReads: false`).
 * - Streams never deliver inside the call that opens them or sends on them.
 * - A watch stream carries what the server sends, unchanged and in order; resuming is the caller's business.
 * - Leases survive the loss of a stream; `leaseKeepAlive` answers come in the order of the requests.
 */
export interface KvStore {
  range(request: etcdserverpb.RangeRequest, options?: CallOptions): Promise<etcdserverpb.RangeResponse>;
  /**
   * A range in pieces, as fast as they are taken: all entries of all pieces are the range at one revision. Undefined, or
   * absent, where the store cannot do that. It is not repeated inside: after a retryable error the caller goes on behind the
   * last entry, with the revision in the request.
   */
  rangeStream?(
    request: etcdserverpb.RangeRequest,
    options?: CallOptions,
  ): AsyncIterable<etcdserverpb.RangeResponse> | undefined;
  put(request: etcdserverpb.PutRequest, options?: CallOptions): Promise<etcdserverpb.PutResponse>;
  deleteRange(
    request: etcdserverpb.DeleteRangeRequest,
    options?: CallOptions,
  ): Promise<etcdserverpb.DeleteRangeResponse>;
  txn(request: etcdserverpb.TxnRequest, options?: CallOptions): Promise<etcdserverpb.TxnResponse>;
  compact(
    request: etcdserverpb.CompactionRequest,
    options?: CallOptions,
  ): Promise<etcdserverpb.CompactionResponse>;

  leaseGrant(
    request: etcdserverpb.LeaseGrantRequest,
    options?: CallOptions,
  ): Promise<etcdserverpb.LeaseGrantResponse>;
  /** Revoking a lease that does not exist rejects with code `lease-not-found`, unless an own retry revoked it. */
  leaseRevoke(
    request: etcdserverpb.LeaseRevokeRequest,
    options?: CallOptions,
  ): Promise<etcdserverpb.LeaseRevokeResponse>;
  leaseTimeToLive(
    request: etcdserverpb.LeaseTimeToLiveRequest,
    options?: CallOptions,
  ): Promise<etcdserverpb.LeaseTimeToLiveResponse>;
  leaseLeases(options?: CallOptions): Promise<etcdserverpb.LeaseLeasesResponse>;

  watch(observer: StreamObserver<etcdserverpb.WatchResponse>): RequestStream<etcdserverpb.WatchRequest>;
  leaseKeepAlive(
    observer: StreamObserver<etcdserverpb.LeaseKeepAliveResponse>,
  ): RequestStream<etcdserverpb.LeaseKeepAliveRequest>;

  /** Hot; emits each time the store turns out to be another one. */
  readonly replaced$: Observable<StoreReplacement>;
}
