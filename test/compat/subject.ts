import type { ClientDuplexStream } from '@grpc/grpc-js';
import { etcdserverpb } from '@conclave/protocol';
import { describeOutcome, textOf } from './answer-text.js';
import { type Step } from './operations.js';
import { RpcClient } from './rpc-client.js';

type WatchCall = ClientDuplexStream<etcdserverpb.WatchRequest, etcdserverpb.WatchResponse>;

/** Ids of the harness's own watches, out of the way of those that the servers choose. */
const sentinelId = 1_000_001n;
const markerId = 1_000_002n;
const sentinelKey = Buffer.from('~sentinel');
/** Only a failing run ever waits this long. */
const patienceMs = 30_000;

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/**
 * One server under comparison, driven step by step.
 *
 * Of a watch it keeps the events in order and how it ended: how they are packed into responses may differ.
 */
export class Subject {
  revision = 1n;
  private readonly client: RpcClient;
  private stream: WatchCall | undefined;
  private failure: Error | undefined;
  private readonly logs = new Map<string, string[]>();
  private createdAnswers: etcdserverpb.WatchResponse[] = [];
  private cancels = 0;
  private progressAnswers = 0;
  private sentinelRevision = 0n;
  /** Watches from the past were asked for since the last `settle`. */
  private mayCatchUp = false;
  /** Start revisions of the open watches, by watch id. */
  private readonly starts = new Map<bigint, bigint>();
  private readonly waiting = new Set<() => void>();

  constructor(
    readonly name: string,
    private readonly address: string,
  ) {
    this.client = new RpcClient(address);
  }

  /** Opens the watch stream of one sequence, with a watch of the harness's own that marks the end of what was sent. */
  async begin(): Promise<void> {
    this.logs.clear();
    this.starts.clear();
    this.createdAnswers = [];
    this.failure = undefined;
    this.sentinelRevision = 0n;
    const stream = this.client.watch();
    stream.on('data', (response: etcdserverpb.WatchResponse) => {
      if (this.stream === stream) this.record(response);
    });
    stream.on('error', (error: Error) => {
      if (this.stream !== stream) return;
      this.failure = error;
      this.wake();
    });
    this.stream = stream;
    await this.createWatch({ key: sentinelKey, watch_id: sentinelId });
    this.createdAnswers = [];
  }

  end(): void {
    const { stream } = this;
    this.stream = undefined;
    stream?.cancel();
  }

  close(): void {
    this.end();
    this.client.close();
  }

  /** Runs one step and gives its answer in a form that compares. */
  async run(step: Step): Promise<string> {
    const pb = etcdserverpb;
    switch (step.kind) {
      case 'range': {
        const request = { ...step.request, revision: this.relative(step.back) };
        return this.unary('KV/Range', request, pb.RangeRequest, pb.RangeResponse);
      }
      case 'put':
        return this.unary('KV/Put', step.request, pb.PutRequest, pb.PutResponse);
      case 'delete':
        return this.unary('KV/DeleteRange', step.request, pb.DeleteRangeRequest, pb.DeleteRangeResponse);
      case 'txn':
        return this.unary('KV/Txn', step.request, pb.TxnRequest, pb.TxnResponse);
      case 'compact': {
        const request = { revision: this.revision - BigInt(step.back), physical: step.physical };
        return this.unary('KV/Compact', request, pb.CompactionRequest, pb.CompactionResponse);
      }
      case 'grant':
        return this.unary('Lease/LeaseGrant', step.request, pb.LeaseGrantRequest, pb.LeaseGrantResponse);
      case 'revoke':
        return this.unary(
          'Lease/LeaseRevoke',
          { ID: step.ID },
          pb.LeaseRevokeRequest,
          pb.LeaseRevokeResponse,
        );
      case 'timeToLive':
        return this.timeToLive(step.ID, step.keys);
      case 'leases':
        return this.leases();
      case 'watch':
        return this.watch({ ...step.request, start_revision: this.relative(step.back) });
      case 'cancelWatch':
        return this.cancelWatch(step.watchId);
      case 'progress':
        return this.progress();
    }
  }

  /**
   * Resolves when everything that the watches of this stream have to tell by now has arrived: the server reports no
   * watch that still catches up, and an event that was put afterwards came through the same stream.
   */
  async settle(): Promise<void> {
    if (this.mayCatchUp) await this.allWatchesCaughtUp();
    this.mayCatchUp = false;
    const put = etcdserverpb.PutRequest.fromPartial({ key: sentinelKey });
    await this.unary('KV/Put', put, etcdserverpb.PutRequest, etcdserverpb.PutResponse);
    const revision = this.revision;
    await this.until(() => this.sentinelRevision >= revision, 'an event of the sentinel');
  }

  /** What each watch told, by watch id. */
  watchLogs(): string {
    return [...this.logs]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, lines]) => `watch ${id}\n${lines.join('\n')}`)
      .join('\n');
  }

  private async allWatchesCaughtUp(): Promise<void> {
    const deadline = AbortSignal.timeout(patienceMs);
    for (;;) {
      const metrics = await (await fetch(`http://${this.address}/metrics`, { signal: deadline })).text();
      const slow = /^etcd_debugging_mvcc_slow_watcher_total (\S+)$/m.exec(metrics)?.[1];
      if (slow === undefined) throw new Error(`${this.name} does not report how many watches catch up`);
      if (Number(slow) === 0) return;
    }
  }

  private relative(back: number | undefined): bigint {
    return back === undefined ? 0n : this.revision - BigInt(back);
  }

  private async unary<Req, Res extends { header: etcdserverpb.ResponseHeader | undefined }>(
    path: string,
    request: Req,
    requestCodec: Codec<Req>,
    responseCodec: Codec<Res>,
  ): Promise<string> {
    const outcome = await this.client.call(`/etcdserverpb.${path}`, request, requestCodec, responseCodec);
    if ('ok' in outcome && outcome.ok.header !== undefined) this.revision = outcome.ok.header.revision;
    return describeOutcome(outcome);
  }

  /** The time that is left differs from run to run; that there is some does not. */
  private async timeToLive(ID: bigint, keys: boolean): Promise<string> {
    const { LeaseTimeToLiveRequest, LeaseTimeToLiveResponse } = etcdserverpb;
    const path = '/etcdserverpb.Lease/LeaseTimeToLive';
    const outcome = await this.client.call(
      path,
      { ID, keys },
      LeaseTimeToLiveRequest,
      LeaseTimeToLiveResponse,
    );
    if (!('ok' in outcome)) return describeOutcome(outcome);
    const { TTL } = outcome.ok;
    return describeOutcome({ ok: { ...outcome.ok, TTL: TTL > 0n ? 1n : TTL } });
  }

  /** Leases are told in the order in which they end, which depends on the time of their grants. */
  private async leases(): Promise<string> {
    const { LeaseLeasesRequest, LeaseLeasesResponse } = etcdserverpb;
    const path = '/etcdserverpb.Lease/LeaseLeases';
    const outcome = await this.client.call(path, {}, LeaseLeasesRequest, LeaseLeasesResponse);
    if (!('ok' in outcome)) return describeOutcome(outcome);
    return outcome.ok.leases
      .map((lease) => lease.ID.toString())
      .sort()
      .join();
  }

  private async watch(request: etcdserverpb.WatchCreateRequest): Promise<string> {
    if (request.start_revision !== 0n) this.mayCatchUp = true;
    const response = await this.createWatch(request);
    if (!response.canceled) this.starts.set(response.watch_id, request.start_revision);
    return textOf({ ...response, header: undefined });
  }

  private async createWatch(
    request: Partial<etcdserverpb.WatchCreateRequest>,
  ): Promise<etcdserverpb.WatchResponse> {
    const at = this.createdAnswers.length;
    const value = etcdserverpb.WatchCreateRequest.fromPartial(request);
    this.send({ request_union: { $case: 'create_request', value } });
    await this.until(() => this.createdAnswers.length > at, 'the answer to a watch');
    return this.createdAnswers[at];
  }

  /** The answers to requests come in order, so that the answer to a further one tells whether this one had any. */
  private async cancelWatch(watch_id: bigint): Promise<string> {
    const before = this.cancels;
    this.send({ request_union: { $case: 'cancel_request', value: { watch_id } } });
    await this.passMarker();
    return this.cancels > before ? 'canceled' : 'no answer';
  }

  private async progress(): Promise<string> {
    const before = this.progressAnswers;
    this.send({ request_union: { $case: 'progress_request', value: {} } });
    await this.passMarker();
    const answer = this.progressAnswers > before ? 'progress' : 'no answer';
    const waits = [...this.starts.values()].some((start) => start > this.revision);
    return waits ? `${answer} while a watch waits for a future revision` : answer;
  }

  private async passMarker(): Promise<void> {
    await this.createWatch({ key: Buffer.from('~marker'), watch_id: markerId });
    this.createdAnswers.pop();
    const ended = this.cancels;
    this.send({ request_union: { $case: 'cancel_request', value: { watch_id: markerId } } });
    await this.until(() => this.cancels > ended, 'the end of the marker');
    this.cancels--;
  }

  private send(request: etcdserverpb.WatchRequest): void {
    this.stream!.write(request);
  }

  private record(response: etcdserverpb.WatchResponse): void {
    const { watch_id } = response;
    if (response.canceled) this.starts.delete(watch_id);
    if (response.created) this.createdAnswers.push(response);
    else if (response.canceled && response.compact_revision === 0n) this.cancels++;
    else if (watch_id === -1n) this.progressAnswers++;
    if (watch_id === sentinelId) this.sentinelRevision = response.events.at(-1)?.kv?.mod_revision ?? 0n;
    else if (watch_id !== markerId) this.keep(response);
    this.wake();
  }

  private keep(response: etcdserverpb.WatchResponse): void {
    const { watch_id, canceled, compact_revision, cancel_reason } = response;
    // A watch of everything sees the sentinel too, before or after the sentinel's own watch does.
    const events = response.events.filter((event) => !sentinelKey.equals(event.kv!.key));
    const lines = events.map((event) => textOf(event));
    if (canceled) lines.push(`canceled compact_revision=${compact_revision} reason=${cancel_reason}`);
    if (lines.length === 0) return;
    const id = watch_id.toString();
    this.logs.set(id, [...(this.logs.get(id) ?? []), ...lines]);
  }

  private wake(): void {
    for (const look of this.waiting) look();
  }

  /** Resolves when an arrival makes the condition true. @throws Error when the stream ends, or after a bound. */
  private until(condition: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (error?: Error): void => {
        clearTimeout(timer);
        this.waiting.delete(look);
        if (error === undefined) resolve();
        else reject(error);
      };
      const look = (): void => {
        if (condition()) finish();
        else if (this.failure !== undefined) finish(this.failure);
      };
      const timer = setTimeout(() => finish(new Error(`${this.name} did not send ${what}`)), patienceMs);
      this.waiting.add(look);
      look();
    });
  }
}
