import { GrpcChannel } from '@conclave/grpc';
import { etcdserverpb, type mvccpb } from '@conclave/protocol';
import { type FoundKey, writerOf } from '../history/operation.js';

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** From the first key to the last. */
export const everything = { key: Buffer.from([0]), range_end: Buffer.from([0]) };

/** Where a member takes clients. */
export interface ClientAddress {
  readonly host: string;
  readonly clientPort: number;
}

/** How long a client waits for an answer and for a connection. */
export interface Patience {
  readonly callMs: number;
  readonly connectMs: number;
}

/** Of a member alone every answer is due. */
const long: Patience = { callMs: 20_000, connectMs: 5_000 };

/** Just above the transport: no retries, no reconnecting, nothing hidden. One connection to one member. */
export class MemberClient {
  readonly channel: GrpcChannel;

  constructor(
    { host, clientPort: port }: ClientAddress,
    private readonly patience = long,
  ) {
    const target = { host, port };
    this.channel = new GrpcChannel({ target, connectTimeoutMs: patience.connectMs });
  }

  async call<Req, Res>(
    method: string,
    request: Req,
    requestCodec: Codec<Req>,
    responseCodec: Codec<Res>,
    timeoutMs = this.patience.callMs,
  ): Promise<Res> {
    const bytes = requestCodec.encode(request).finish();
    const { message } = await this.channel.unary(`/etcdserverpb.${method}`, bytes, { timeoutMs });
    return responseCodec.decode(message);
  }

  put(key: string, value: Buffer, lease = 0n): Promise<etcdserverpb.PutResponse> {
    const request = etcdserverpb.PutRequest.fromPartial({ key: Buffer.from(key), value, lease });
    return this.call('KV/Put', request, etcdserverpb.PutRequest, etcdserverpb.PutResponse);
  }

  delete(key: string): Promise<etcdserverpb.DeleteRangeResponse> {
    const request = etcdserverpb.DeleteRangeRequest.fromPartial({ key: Buffer.from(key) });
    return this.call(
      'KV/DeleteRange',
      request,
      etcdserverpb.DeleteRangeRequest,
      etcdserverpb.DeleteRangeResponse,
    );
  }

  txn(request: etcdserverpb.TxnRequest): Promise<etcdserverpb.TxnResponse> {
    return this.call('KV/Txn', request, etcdserverpb.TxnRequest, etcdserverpb.TxnResponse);
  }

  range(request: Partial<etcdserverpb.RangeRequest>): Promise<etcdserverpb.RangeResponse> {
    const whole = etcdserverpb.RangeRequest.fromPartial(request);
    return this.call('KV/Range', whole, etcdserverpb.RangeRequest, etcdserverpb.RangeResponse);
  }

  compact(revision: number): Promise<etcdserverpb.CompactionResponse> {
    const request = { revision: BigInt(revision), physical: false };
    return this.call('KV/Compact', request, etcdserverpb.CompactionRequest, etcdserverpb.CompactionResponse);
  }

  grant(ID: bigint, ttlSeconds: number): Promise<etcdserverpb.LeaseGrantResponse> {
    return this.call(
      'Lease/LeaseGrant',
      { ID, TTL: BigInt(ttlSeconds) },
      etcdserverpb.LeaseGrantRequest,
      etcdserverpb.LeaseGrantResponse,
    );
  }

  revoke(ID: bigint): Promise<etcdserverpb.LeaseRevokeResponse> {
    return this.call(
      'Lease/LeaseRevoke',
      { ID },
      etcdserverpb.LeaseRevokeRequest,
      etcdserverpb.LeaseRevokeResponse,
    );
  }

  async leases(): Promise<bigint[]> {
    const { leases } = await this.call(
      'Lease/LeaseLeases',
      {},
      etcdserverpb.LeaseLeasesRequest,
      etcdserverpb.LeaseLeasesResponse,
    );
    return leases.map(({ ID }) => ID);
  }

  /** Seconds left; -1 when there is no such lease. */
  async timeToLive(ID: bigint): Promise<number> {
    const { TTL } = await this.call(
      'Lease/LeaseTimeToLive',
      { ID, keys: false },
      etcdserverpb.LeaseTimeToLiveRequest,
      etcdserverpb.LeaseTimeToLiveResponse,
    );
    return Number(TTL);
  }

  /** Renews a lease once. Its new TTL in seconds is 0 when there is no such lease. */
  keepAlive(ID: bigint): Promise<etcdserverpb.LeaseKeepAliveResponse> {
    return new Promise((resolve, reject) => {
      const timeoutMs = this.patience.callMs;
      const stream = this.channel.stream('/etcdserverpb.Lease/LeaseKeepAlive', { timeoutMs });
      stream.onMessage = (message) => {
        resolve(etcdserverpb.LeaseKeepAliveResponse.decode(message));
        stream.cancel();
      };
      stream.onEnd = (error) => reject(error ?? new Error('the stream ended without an answer'));
      stream.send(etcdserverpb.LeaseKeepAliveRequest.encode({ ID }).finish());
    });
  }

  async alarms(): Promise<etcdserverpb.AlarmType[]> {
    const { alarms } = await this.alarm({});
    return alarms.map(({ alarm }) => alarm);
  }

  /** Takes the alarm of each member back, as `etcdctl alarm disarm` does. @throws GrpcError */
  async disarm(): Promise<void> {
    const { alarms } = await this.alarm({});
    for (const alarm of alarms) {
      await this.alarm({ ...alarm, action: etcdserverpb.AlarmRequest_AlarmAction.DEACTIVATE });
    }
  }

  private alarm(request: Partial<etcdserverpb.AlarmRequest>): Promise<etcdserverpb.AlarmResponse> {
    const whole = etcdserverpb.AlarmRequest.fromPartial(request);
    return this.call('Maintenance/Alarm', whole, etcdserverpb.AlarmRequest, etcdserverpb.AlarmResponse);
  }

  status(): Promise<etcdserverpb.StatusResponse> {
    return this.call('Maintenance/Status', {}, etcdserverpb.StatusRequest, etcdserverpb.StatusResponse);
  }

  close(): Promise<void> {
    return this.channel.close();
  }
}

/** A key as the checker takes it. */
export function foundKey(kv: mvccpb.KeyValue): FoundKey {
  return {
    key: kv.key.toString('latin1'),
    writer: writerOf(kv.value),
    bytes: kv.value.length,
    createRevision: Number(kv.create_revision),
    modRevision: Number(kv.mod_revision),
    version: Number(kv.version),
    lease: kv.lease,
  };
}

/** The revision in a header. @throws Error when the answer has none. */
export function revisionOf(response: { readonly header: etcdserverpb.ResponseHeader | undefined }): number {
  if (response.header === undefined) throw new Error('an answer without a header');
  return Number(response.header.revision);
}
