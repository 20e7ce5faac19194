import { Buffer } from 'node:buffer';
import { decodeRangeResponse, decodeWatchResponse, etcdserverpb as pb } from '@conclave/protocol';
import { type Observable } from 'rxjs';
import { DeniedWatch } from './auth/denied-watch.js';
import { type Tokens } from './auth/tokens.js';
import { type Caller, type Codec } from './connection/caller.js';
import { type Connection } from './connection/connection.js';
import { method } from './connection/method.js';
import { RangeStreams } from './connection/range-streams.js';
import { RemoteStream } from './connection/remote-stream.js';
import { ConclaveError } from './errors.js';
import {
  type CallOptions,
  type KvStore,
  type RequestStream,
  type StoreReplacement,
  type StreamObserver,
} from './kv-store.js';
import { type Metadata } from './transport.js';

export interface RemoteKvStoreOptions {
  /** Watch and lease streams ask the member to refuse them while it has no leader. */
  readonly requireLeader: boolean;
}

const methods = {
  range: method('/etcdserverpb.KV/Range', 'read', pb.RangeRequest, { decode: decodeRangeResponse }),
  put: method('/etcdserverpb.KV/Put', 'write', pb.PutRequest, pb.PutResponse),
  deleteRange: method('/etcdserverpb.KV/DeleteRange', 'write', pb.DeleteRangeRequest, pb.DeleteRangeResponse),
  txn: method('/etcdserverpb.KV/Txn', 'write', pb.TxnRequest, pb.TxnResponse),
  readTxn: method('/etcdserverpb.KV/Txn', 'read', pb.TxnRequest, pb.TxnResponse),
  compact: method('/etcdserverpb.KV/Compact', 'write', pb.CompactionRequest, pb.CompactionResponse),
  // A lease that was granted to a lost answer expires by itself, so granting again does no harm.
  leaseGrant: method(
    '/etcdserverpb.Lease/LeaseGrant',
    'harmless',
    pb.LeaseGrantRequest,
    pb.LeaseGrantResponse,
  ),
  leaseGrantWithId: method(
    '/etcdserverpb.Lease/LeaseGrant',
    'write',
    pb.LeaseGrantRequest,
    pb.LeaseGrantResponse,
  ),
  leaseRevoke: method(
    '/etcdserverpb.Lease/LeaseRevoke',
    'harmless',
    pb.LeaseRevokeRequest,
    pb.LeaseRevokeResponse,
  ),
  leaseTimeToLive: method(
    '/etcdserverpb.Lease/LeaseTimeToLive',
    'harmless',
    pb.LeaseTimeToLiveRequest,
    pb.LeaseTimeToLiveResponse,
  ),
  leaseLeases: method(
    '/etcdserverpb.Lease/LeaseLeases',
    'harmless',
    pb.LeaseLeasesRequest,
    pb.LeaseLeasesResponse,
  ),
  watch: method('/etcdserverpb.Watch/Watch', 'read', pb.WatchRequest, { decode: decodeWatchResponse }),
  leaseKeepAlive: method(
    '/etcdserverpb.Lease/LeaseKeepAlive',
    'read',
    pb.LeaseKeepAliveRequest,
    pb.LeaseKeepAliveResponse,
  ),
} as const;

/** The store behind a cluster's client ports. */
export class RemoteKvStore implements KvStore {
  readonly replaced$: Observable<StoreReplacement>;
  private readonly streamMetadata: Metadata;
  private readonly rangeStreams: RangeStreams;

  constructor(
    private readonly connection: Connection,
    private readonly caller: Caller,
    private readonly tokens: Tokens,
    options: RemoteKvStoreOptions,
  ) {
    this.replaced$ = connection.identity.replaced$;
    this.streamMetadata = options.requireLeader ? { hasleader: 'true' } : {};
    this.rangeStreams = new RangeStreams(connection, tokens);
  }

  /** A serializable answer that is older than what was seen before is asked for again, then linearizably. */
  async range(request: pb.RangeRequest, options?: CallOptions): Promise<pb.RangeResponse> {
    const answer = await this.caller.call(methods.range, request, options, request.serializable);
    if (answer !== undefined) return answer;
    return this.mustAnswer(methods.range, { ...request, serializable: false }, options);
  }

  put(request: pb.PutRequest, options?: CallOptions): Promise<pb.PutResponse> {
    return this.mustAnswer(methods.put, request, options);
  }

  deleteRange(request: pb.DeleteRangeRequest, options?: CallOptions): Promise<pb.DeleteRangeResponse> {
    return this.mustAnswer(methods.deleteRange, request, options);
  }

  async txn(request: pb.TxnRequest, options?: CallOptions): Promise<pb.TxnResponse> {
    if (!onlyReads(request)) return this.mustAnswer(methods.txn, request, options);
    // A transaction of serializable reads, or without any operation, is answered by a member from its own state.
    const answer = await this.caller.call(methods.readTxn, request, options, true);
    if (answer !== undefined) return answer;
    const current = await this.mustAnswer(methods.readTxn, linearizable(request), options);
    return request.success.length + request.failure.length === 0 ? { ...current, responses: [] } : current;
  }

  compact(request: pb.CompactionRequest, options?: CallOptions): Promise<pb.CompactionResponse> {
    return this.mustAnswer(methods.compact, request, options);
  }

  leaseGrant(request: pb.LeaseGrantRequest, options?: CallOptions): Promise<pb.LeaseGrantResponse> {
    const codec = request.ID === 0n ? methods.leaseGrant : methods.leaseGrantWithId;
    return this.mustAnswer(codec, request, options, true);
  }

  async leaseRevoke(request: pb.LeaseRevokeRequest, options?: CallOptions): Promise<pb.LeaseRevokeResponse> {
    let attempts = 0;
    try {
      const counted = {
        ...methods.leaseRevoke,
        encode: (message: pb.LeaseRevokeRequest) => {
          attempts += 1;
          return methods.leaseRevoke.encode(message);
        },
      };
      return await this.mustAnswer(counted, request, options);
    } catch (error) {
      // An earlier attempt of this very call, whose answer was lost, has revoked it.
      const revokedBefore =
        attempts > 1 && error instanceof ConclaveError && error.code === 'lease-not-found';
      if (revokedBefore) return pb.LeaseRevokeResponse.create();
      throw error;
    }
  }

  leaseTimeToLive(
    request: pb.LeaseTimeToLiveRequest,
    options?: CallOptions,
  ): Promise<pb.LeaseTimeToLiveResponse> {
    return this.mustAnswer(methods.leaseTimeToLive, request, options, true);
  }

  leaseLeases(options?: CallOptions): Promise<pb.LeaseLeasesResponse> {
    return this.mustAnswer(methods.leaseLeases, pb.LeaseLeasesRequest.create(), options, true);
  }

  rangeStream(request: pb.RangeRequest, options?: CallOptions): AsyncIterable<pb.RangeResponse> | undefined {
    return this.rangeStreams.isSupported ? this.rangeStreams.open(request, options?.signal) : undefined;
  }

  watch(observer: StreamObserver<pb.WatchResponse>): RequestStream<pb.WatchRequest> {
    if (!this.tokens.areUsed) return this.open(methods.watch, observer);
    // A transaction without operations needs a valid token and no permission.
    const denied = new DeniedWatch(observer, this.tokens, () => this.txn(pb.TxnRequest.create()));
    return denied.observe(this.open(methods.watch, denied));
  }

  leaseKeepAlive(
    observer: StreamObserver<pb.LeaseKeepAliveResponse>,
  ): RequestStream<pb.LeaseKeepAliveRequest> {
    return this.open(methods.leaseKeepAlive, observer);
  }

  private open<Q, S extends { header: pb.ResponseHeader | undefined }>(
    codec: Codec<Q, S>,
    observer: StreamObserver<S>,
  ): RemoteStream<Q, S> {
    return new RemoteStream(this.connection, this.tokens, codec, this.streamMetadata, observer);
  }

  /** `localRevision`: the header carries the member's own revision, which may lag without meaning anything. */
  private async mustAnswer<Q, S extends { header: pb.ResponseHeader | undefined }>(
    codec: Codec<Q, S>,
    request: Q,
    options: CallOptions | undefined,
    localRevision = false,
  ): Promise<S> {
    const answer = await this.caller.call(codec, request, options, localRevision ? 'ignored' : false);
    if (answer === undefined)
      throw new ConclaveError('server', 'a member answered with an older revision', true);
    return answer;
  }
}

function onlyReads(request: pb.TxnRequest): boolean {
  const reads = (op: pb.RequestOp): boolean => {
    if (op.request?.$case === 'request_txn') return onlyReads(op.request.value);
    return op.request === undefined || op.request.$case === 'request_range';
  };
  return request.success.every(reads) && request.failure.every(reads);
}

/** Counts the keys between \0 and \x01: costs next to nothing, and is ordered after everything that was committed. */
const emptyRead: pb.RequestOp = {
  request: {
    $case: 'request_range',
    value: pb.RangeRequest.create({ key: Buffer.of(0), range_end: Buffer.of(1), count_only: true }),
  },
};

/** The same transaction with reads that go through the leader. One without operations gets a read that finds nothing. */
function linearizable(request: pb.TxnRequest): pb.TxnRequest {
  const convert = (op: pb.RequestOp): pb.RequestOp => {
    if (op.request?.$case === 'request_txn') {
      return { request: { $case: 'request_txn', value: linearizable(op.request.value) } };
    }
    if (op.request?.$case !== 'request_range') return op;
    return { request: { $case: 'request_range', value: { ...op.request.value, serializable: false } } };
  };
  if (request.success.length + request.failure.length === 0) {
    return { ...request, success: [emptyRead], failure: [emptyRead] };
  }
  return { ...request, success: request.success.map(convert), failure: request.failure.map(convert) };
}
