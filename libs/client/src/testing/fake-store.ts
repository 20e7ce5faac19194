import { Buffer } from 'node:buffer';
import { etcdserverpb as pb, ProtocolError } from '@conclave/protocol';
import { Subject } from 'rxjs';
import { cancellationOf } from '../cancellation.js';
import { toConclaveError } from '../error-mapping.js';
import { type ConclaveError, MaybeAppliedError, TimeoutError, UnavailableError } from '../errors.js';
import {
  type CallOptions,
  type KvStore,
  type RequestStream,
  type StoreReplacement,
  type StreamObserver,
} from '../kv-store.js';
import { type Clock, type Timer } from '../runtime.js';
import { TransportError } from '../transport.js';
import { FaultPlan, type Method } from './fake-faults.js';
import { FakeKeepAliveStream, FakeWatchStream, type StreamHost } from './fake-streams.js';
import { FakeMvcc, type Written } from './fake-mvcc.js';

/** Which way nothing gets through. */
export type PartitionDirection = 'both' | 'requests' | 'answers';

interface FakeLease {
  readonly ttlSeconds: bigint;
  timer: Timer;
  dueAtMs: number;
}

const requestTimeoutMs = 5_000;
/** As servers raise shorter ones, with the election timeout that they have by default. */
const leastTtlSeconds = 2n;
const mostTtlSeconds = 9_000_000_000n;

/**
 * A store in memory that keeps the contract of KvStore, with faults on demand. Leases expire on the given clock, never
 * early. Answers come in a later microtask, as from a network without delay.
 */
export class FakeStore implements KvStore, StreamHost {
  private mvcc = new FakeMvcc((id) => this.leases.has(id));
  private readonly leases = new Map<bigint, FakeLease>();
  private readonly watchStreams = new Set<FakeWatchStream>();
  private readonly keepAliveStreams = new Set<FakeKeepAliveStream>();
  private readonly faults = new FaultPlan();
  private readonly replacements = new Subject<StoreReplacement>();
  readonly replaced$ = this.replacements.asObservable();
  private clusterId = 0x1001n;
  private nextLease = 0x70000001n;
  private raftTerm = 2n;
  private cut: PartitionDirection | 'none' = 'none';
  /** Keep-alive requests that reached the store. */
  renewals = 0;
  /** Every call that reached the store, in order. */
  readonly calls: Method[] = [];

  constructor(private readonly clock: Clock) {}

  get revision(): bigint {
    return this.mvcc.revision;
  }

  get compactRevision(): bigint {
    return this.mvcc.compactRevision;
  }

  // ---- faults ----

  /** The next `count` calls are applied, and their answers are lost. */
  dropAnswers(method: Method, count = 1, when: (request: unknown) => boolean = () => true): void {
    this.faults.add(method, { kind: 'drop-answer', left: count, when, held: undefined });
  }

  /** The next `count` calls fail without being applied, and the caller knows it. */
  refuse(method: Method, count = 1): void {
    this.faults.add(method, { kind: 'refuse', left: count, when: () => true, held: undefined });
  }

  /** The next call is applied at once and answered only when the returned function is called. */
  holdAnswer(method: Method, when: (request: unknown) => boolean = () => true): () => void {
    return this.faults.hold('hold', method, when);
  }

  /** The next call is on its way, and applied only when the returned function is called. */
  delayRequest(method: Method, when: (request: unknown) => boolean = () => true): () => void {
    return this.faults.hold('delay', method, when);
  }

  /**
   * Nothing gets through, and streams do not notice. `both`: there is no connection, so calls time out and are known not to be
   * applied. `requests`: what clients send is lost. `answers`: it is done, and they do not hear of it; events are lost too.
   */
  partition(direction: PartitionDirection = 'both'): void {
    this.cut = direction;
  }

  /** Ends a partition. Streams from before are lost. */
  heal(): void {
    this.cut = 'none';
    this.cutStreams();
  }

  /** Another member leads: a new term, every lease gets its whole time again, and streams end. */
  moveLeader(): void {
    this.raftTerm += 1n;
    for (const [id, lease] of this.leases) this.rearm(id, lease);
    this.cutStreams(new UnavailableError('the leader changed'));
  }

  /** All streams fail, as when the connection is lost. */
  cutStreams(error: ConclaveError = new UnavailableError('the connection was lost')): void {
    for (const stream of [...this.watchStreams, ...this.keepAliveStreams]) stream.fail(error);
  }

  /** The keep-alive streams that are open now delay their answers until the returned function is called. */
  holdKeepAlives(): () => void {
    const streams = [...this.keepAliveStreams];
    for (const stream of streams) stream.hold();
    return () => {
      for (const stream of streams) stream.release();
    };
  }

  expireLease(id: bigint): void {
    this.endLease(id);
  }

  compactTo(revision: bigint): void {
    this.mvcc.compact(revision);
  }

  /** Another, empty store answers from now on; its streams begin anew. */
  replaceStore(clusterId: bigint = this.clusterId + 1n): void {
    const previousClusterId = this.clusterId;
    for (const lease of this.leases.values()) lease.timer.cancel();
    this.leases.clear();
    this.mvcc = new FakeMvcc((id) => this.leases.has(id));
    this.clusterId = clusterId;
    this.replacements.next({ previousClusterId, clusterId });
    this.cutStreams();
  }

  sendProgress(): void {
    for (const stream of this.watchStreams) stream.progress();
  }

  get watchers(): readonly FakeWatchStream[] {
    return [...this.watchStreams];
  }

  get liveLeases(): readonly bigint[] {
    return [...this.leases.keys()];
  }

  /** Writes as another client would. */
  write(run: (mvcc: FakeMvcc, written: Written) => void): bigint {
    this.mvcc.atomically((written) => run(this.mvcc, written));
    this.notify();
    return this.mvcc.revision;
  }

  putKey(key: string, value: string, lease = 0n): bigint {
    const request = pb.PutRequest.create({ key: Buffer.from(key), value: Buffer.from(value), lease });
    return this.write((mvcc, written) => mvcc.put(request, written));
  }

  deleteKey(key: string): bigint {
    const request = pb.DeleteRangeRequest.create({ key: Buffer.from(key) });
    return this.write((mvcc, written) => mvcc.deleteRange(request, written));
  }

  keys(): string[] {
    const all = pb.RangeRequest.create({ key: Buffer.of(0), range_end: Buffer.of(0) });
    return this.mvcc.range(all).kvs.map((kv) => kv.key.toString('utf8'));
  }

  // ---- KvStore ----

  range(request: pb.RangeRequest, options?: CallOptions): Promise<pb.RangeResponse> {
    return this.call('range', request, options, false, () => this.mvcc.range(request));
  }

  put(request: pb.PutRequest, options?: CallOptions): Promise<pb.PutResponse> {
    return this.call('put', request, options, true, () =>
      this.apply((written) => this.mvcc.put(request, written)),
    );
  }

  deleteRange(request: pb.DeleteRangeRequest, options?: CallOptions): Promise<pb.DeleteRangeResponse> {
    return this.call('deleteRange', request, options, true, () =>
      this.apply((written) => this.mvcc.deleteRange(request, written)),
    );
  }

  txn(request: pb.TxnRequest, options?: CallOptions): Promise<pb.TxnResponse> {
    const writes = [...request.success, ...request.failure].some(
      (op) => op.request?.$case !== 'request_range',
    );
    return this.call('txn', request, options, writes, () =>
      this.apply((written) => this.mvcc.txn(request, written)),
    );
  }

  compact(request: pb.CompactionRequest, options?: CallOptions): Promise<pb.CompactionResponse> {
    return this.call('compact', request, options, true, () => {
      this.mvcc.compact(request.revision);
      return pb.CompactionResponse.create();
    });
  }

  leaseGrant(request: pb.LeaseGrantRequest, options?: CallOptions): Promise<pb.LeaseGrantResponse> {
    return this.call('leaseGrant', request, options, false, () => {
      const id = request.ID === 0n ? this.nextLease++ : request.ID;
      if (request.TTL > mostTtlSeconds) throw ProtocolError.of('LeaseTTLTooLarge');
      if (this.leases.has(id)) throw ProtocolError.of('LeaseExist');
      const ttlSeconds = request.TTL < leastTtlSeconds ? leastTtlSeconds : request.TTL;
      this.leases.set(id, { ttlSeconds, ...this.leaseTimer(id, ttlSeconds) });
      return { header: undefined, ID: id, TTL: ttlSeconds, error: '' };
    });
  }

  leaseRevoke(request: pb.LeaseRevokeRequest, options?: CallOptions): Promise<pb.LeaseRevokeResponse> {
    return this.call('leaseRevoke', request, options, false, () => {
      if (!this.leases.has(request.ID)) throw ProtocolError.of('LeaseNotFound');
      this.endLease(request.ID);
      return pb.LeaseRevokeResponse.create();
    });
  }

  leaseTimeToLive(
    request: pb.LeaseTimeToLiveRequest,
    options?: CallOptions,
  ): Promise<pb.LeaseTimeToLiveResponse> {
    return this.call('leaseTimeToLive', request, options, false, () => {
      const lease = this.leases.get(request.ID);
      const leftMs = (lease?.dueAtMs ?? 0) - this.clock.monotonic();
      return {
        header: undefined,
        ID: request.ID,
        TTL: lease === undefined ? -1n : BigInt(Math.floor(leftMs / 1_000)),
        grantedTTL: lease?.ttlSeconds ?? 0n,
        keys: request.keys ? this.mvcc.keysOf(request.ID).map((kv) => kv.key) : [],
      };
    });
  }

  leaseLeases(options?: CallOptions): Promise<pb.LeaseLeasesResponse> {
    return this.call('leaseLeases', undefined, options, false, () => ({
      header: undefined,
      leases: [...this.leases.keys()].map((ID) => ({ ID })),
    }));
  }

  watch(observer: StreamObserver<pb.WatchResponse>): RequestStream<pb.WatchRequest> {
    const stream = new FakeWatchStream(this, observer);
    this.watchStreams.add(stream);
    return stream;
  }

  leaseKeepAlive(
    observer: StreamObserver<pb.LeaseKeepAliveResponse>,
  ): RequestStream<pb.LeaseKeepAliveRequest> {
    const stream = new FakeKeepAliveStream(this, observer);
    this.keepAliveStreams.add(stream);
    return stream;
  }

  // ---- StreamHost ----

  header(): pb.ResponseHeader {
    return {
      cluster_id: this.clusterId,
      member_id: 1n,
      revision: this.mvcc.revision,
      raft_term: this.raftTerm,
    };
  }

  later(run: () => void): void {
    void Promise.resolve().then(() => {
      if (this.cut === 'none' || this.cut === 'answers') run();
    });
  }

  get answersArrive(): boolean {
    return this.cut === 'none' || this.cut === 'requests';
  }

  eventsFrom(revision: bigint) {
    return this.mvcc.eventsFrom(revision);
  }

  forget(stream: FakeWatchStream | FakeKeepAliveStream): void {
    if (stream instanceof FakeWatchStream) this.watchStreams.delete(stream);
    else this.keepAliveStreams.delete(stream);
  }

  renew(id: bigint): bigint {
    this.renewals += 1;
    const lease = this.leases.get(id);
    if (lease === undefined) return 0n;
    this.rearm(id, lease);
    return lease.ttlSeconds;
  }

  // ---- inside ----

  private async call<T extends { header: pb.ResponseHeader | undefined }>(
    method: Method,
    request: unknown,
    options: CallOptions | undefined,
    writes: boolean,
    run: () => T,
  ): Promise<T> {
    const signal = options?.signal;
    if (signal?.aborted) throw cancellationOf(signal);
    if (this.cut === 'both') {
      return this.timeOut(options, new TimeoutError(`${method} was not sent: no member could be reached`));
    }
    if (this.cut === 'requests') return this.timeOut(options, unanswered(method, writes));
    const fault = this.faults.take(method, request);
    await Promise.resolve();
    if (fault?.kind === 'refuse') throw new UnavailableError(`${method} was refused`);
    if (fault?.kind === 'delay') await fault.held;
    this.calls.push(method);
    let answer: T;
    try {
      answer = run();
    } catch (error) {
      if (error instanceof ProtocolError)
        throw toConclaveError(new TransportError(error.code, error.message, true));
      throw error;
    }
    const header = this.header();
    await fault?.held;
    if (!this.answersArrive) return this.timeOut(options, unanswered(method, writes));
    if (fault?.kind === 'drop-answer') throw unanswered(method, writes);
    if (signal?.aborted) throw cancellationOf(signal);
    return { ...answer, header };
  }

  private timeOut(options: CallOptions | undefined, error: ConclaveError): Promise<never> {
    return new Promise((_, reject) => {
      const late = (): void => {
        options?.signal?.removeEventListener('abort', onAbort);
        reject(error);
      };
      const timer = this.clock.setTimer(options?.timeoutMs ?? requestTimeoutMs, late);
      const onAbort = (): void => {
        timer.cancel();
        if (options?.signal !== undefined) reject(cancellationOf(options.signal));
      };
      options?.signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  private apply<T>(run: (written: Written) => T): T {
    const { result } = this.mvcc.atomically(run);
    this.notify();
    return result;
  }

  private notify(): void {
    void Promise.resolve().then(() => {
      for (const stream of [...this.watchStreams]) stream.flush();
    });
  }

  private rearm(id: bigint, lease: FakeLease): void {
    lease.timer.cancel();
    Object.assign(lease, this.leaseTimer(id, lease.ttlSeconds));
  }

  private leaseTimer(id: bigint, ttlSeconds: bigint): { timer: Timer; dueAtMs: number } {
    const ttlMs = Number(ttlSeconds) * 1_000;
    return {
      timer: this.clock.setTimer(ttlMs, () => this.endLease(id)),
      dueAtMs: this.clock.monotonic() + ttlMs,
    };
  }

  private endLease(id: bigint): void {
    this.leases.get(id)?.timer.cancel();
    if (!this.leases.delete(id)) return;
    this.apply((written) => this.mvcc.deleteLease(id, written));
  }
}

/** A call was sent, and no answer came. */
function unanswered(method: Method, writes: boolean): ConclaveError {
  const message = `the answer to ${method} was lost`;
  return writes ? new MaybeAppliedError(message) : new TimeoutError(message);
}
