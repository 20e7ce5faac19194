import type { ClientDuplexStream } from '@grpc/grpc-js';
import { etcdserverpb } from '@conclave/protocol';
import { type Step } from './operations.js';
import { type Outcome, RpcClient } from './rpc-client.js';

type WatchCall = ClientDuplexStream<etcdserverpb.WatchRequest, etcdserverpb.WatchResponse>;

/** What one watch id told: events in order, and how it ended. Batches and header revisions may differ between servers. */
export interface WatchLog {
  readonly lines: string[];
}

/** One server under comparison, driven step by step. */
export class Subject {
  revision = 1n;
  private readonly client: RpcClient;
  private stream: WatchCall | undefined;
  private readonly logs = new Map<string, WatchLog>();
  private createdAnswers: string[] = [];
  private arrivals = 0;
  private onArrival: (() => void) | undefined;

  constructor(
    readonly name: string,
    address: string,
  ) {
    this.client = new RpcClient(address);
  }

  /** Opens the watch stream of one sequence. */
  begin(): void {
    this.logs.clear();
    this.createdAnswers = [];
    const stream = this.client.watch();
    stream.on('data', (response: etcdserverpb.WatchResponse) => this.record(response));
    stream.on('error', () => undefined);
    this.stream = stream;
  }

  end(): void {
    this.stream?.cancel();
    this.stream = undefined;
  }

  close(): void {
    this.client.close();
  }

  /** Runs one step and gives its answer in a form that compares. */
  async run(step: Step): Promise<string> {
    switch (step.kind) {
      case 'range': {
        const revision = this.relative(step.back);
        return this.unary(
          'KV/Range',
          { ...step.request, revision },
          etcdserverpb.RangeRequest,
          etcdserverpb.RangeResponse,
        );
      }
      case 'put':
        return this.unary('KV/Put', step.request, etcdserverpb.PutRequest, etcdserverpb.PutResponse);
      case 'delete':
        return this.unary(
          'KV/DeleteRange',
          step.request,
          etcdserverpb.DeleteRangeRequest,
          etcdserverpb.DeleteRangeResponse,
        );
      case 'txn':
        return this.unary('KV/Txn', step.request, etcdserverpb.TxnRequest, etcdserverpb.TxnResponse);
      case 'compact': {
        const request = { revision: this.revision - BigInt(step.back), physical: step.physical };
        return this.unary(
          'KV/Compact',
          request,
          etcdserverpb.CompactionRequest,
          etcdserverpb.CompactionResponse,
        );
      }
      case 'grant':
        return this.unary(
          'Lease/LeaseGrant',
          step.request,
          etcdserverpb.LeaseGrantRequest,
          etcdserverpb.LeaseGrantResponse,
        );
      case 'revoke':
        return this.unary(
          'Lease/LeaseRevoke',
          { ID: step.ID },
          etcdserverpb.LeaseRevokeRequest,
          etcdserverpb.LeaseRevokeResponse,
        );
      case 'timeToLive':
        return this.timeToLive(step.ID, step.keys);
      case 'watch':
        return this.watch({ ...step.request, start_revision: this.relative(step.back) });
      case 'cancelWatch':
        this.stream!.write({ request_union: { $case: 'cancel_request', value: { watch_id: step.watchId } } });
        return 'sent';
    }
  }

  /** The watch logs, each as one text, by watch id. */
  watchLogs(): ReadonlyMap<string, string> {
    return new Map([...this.logs].sort().map(([id, log]) => [id, log.lines.join('\n')]));
  }

  /** Resolves when another watch response arrives, or false when none does within the given time. */
  nextArrival(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      this.onArrival = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  private relative(back: number | undefined): bigint {
    return back === undefined ? 0n : this.revision - BigInt(back);
  }

  private async unary<Req, Res extends { header: etcdserverpb.ResponseHeader | undefined }>(
    path: string,
    request: Req,
    requestCodec: Parameters<RpcClient['call']>[2] & { encode(message: Req): { finish(): Uint8Array } },
    responseCodec: { encode(message: Res): { finish(): Uint8Array }; decode(bytes: Uint8Array): Res },
  ): Promise<string> {
    const outcome: Outcome<Res> = await this.client.call(
      `/etcdserverpb.${path}`,
      request,
      requestCodec as never,
      responseCodec,
    );
    if ('ok' in outcome && outcome.ok.header !== undefined) this.revision = outcome.ok.header.revision;
    return describe(outcome);
  }

  /** The time that is left differs from run to run; that there is some does not. */
  private async timeToLive(ID: bigint, keys: boolean): Promise<string> {
    const outcome = await this.client.call(
      '/etcdserverpb.Lease/LeaseTimeToLive',
      { ID, keys },
      etcdserverpb.LeaseTimeToLiveRequest,
      etcdserverpb.LeaseTimeToLiveResponse,
    );
    if (!('ok' in outcome)) return describe(outcome);
    const { TTL } = outcome.ok;
    return describe({ ok: { ...outcome.ok, TTL: TTL > 0n ? 1n : TTL } });
  }

  private async watch(request: etcdserverpb.WatchCreateRequest): Promise<string> {
    const before = this.createdAnswers.length;
    this.stream!.write({ request_union: { $case: 'create_request', value: request } });
    while (this.createdAnswers.length === before) {
      if (!(await this.nextArrival(5_000))) throw new Error(`${this.name} did not answer a watch`);
    }
    return this.createdAnswers[before];
  }

  private record(response: etcdserverpb.WatchResponse): void {
    this.arrivals++;
    const id = response.watch_id.toString();
    if (response.created) this.createdAnswers.push(describe({ ok: { ...response, header: undefined } }));
    const log = this.logs.get(id) ?? { lines: [] };
    this.logs.set(id, log);
    for (const event of response.events) log.lines.push(text(event));
    if (response.canceled) {
      log.lines.push(
        `canceled compact_revision=${response.compact_revision} reason=${response.cancel_reason}`,
      );
    }
    this.onArrival?.();
  }
}

/** Ids, terms and sizes of time aside, an answer as text. */
function describe(outcome: Outcome<object>): string {
  if (!('ok' in outcome)) return `error ${outcome.code}: ${outcome.message}`;
  return text(outcome.ok);
}

function text(value: unknown): string {
  return JSON.stringify(value, (key, part: unknown) => {
    if (key === 'cluster_id' || key === 'member_id' || key === 'raft_term') return undefined;
    if (typeof part === 'bigint') return part.toString();
    if (isBufferJson(part)) return Buffer.from(part.data).toString('latin1');
    return part;
  });
}

function isBufferJson(part: unknown): part is { readonly type: 'Buffer'; readonly data: number[] } {
  return (
    typeof part === 'object' &&
    part !== null &&
    (part as { type?: unknown }).type === 'Buffer' &&
    'data' in part
  );
}
