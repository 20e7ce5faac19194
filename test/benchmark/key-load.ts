import { GrpcChannel } from '@conclave/grpc';
import { etcdserverpb } from '@conclave/protocol';
import { Chance } from '../compat/chance.js';

const keyBytes = 32;
const valueBytes = 256;

/** The key with this number: 32 bytes, spread evenly over the key space. */
export function keyOf(number: number): Buffer {
  const chance = new Chance(number);
  const key = Buffer.alloc(keyBytes);
  for (let at = 0; at < keyBytes; at += 4) key.writeUInt32LE(Math.floor(chance.next() * 2 ** 32), at);
  return Buffer.from(key.toString('hex').slice(0, keyBytes), 'latin1');
}

const value = Buffer.alloc(valueBytes, 0x63);

export interface LoadFigures {
  readonly perSecond: number;
  /** Latencies of single requests in milliseconds, ascending. */
  readonly latencies: Float64Array;
}

/** A client that puts and gets uniformly random keys out of a known set, with several requests under way. */
export class KeyLoad {
  private readonly channels: GrpcChannel[];
  private next = 0;

  constructor(target: { readonly address: string }, connections: number) {
    const [host, port] = target.address.split(':');
    this.channels = Array.from(
      { length: connections },
      () => new GrpcChannel({ target: { host, port: Number(port) } }),
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.channels.map((channel) => channel.close()));
  }

  /** Puts keys `from` to `to - 1` once each, 100 in a transaction. */
  async fill(from: number, to: number, onProgress: (done: number) => void): Promise<void> {
    const perTxn = 100;
    let at = from;
    const lane = async (): Promise<void> => {
      while (at < to) {
        const first = at;
        at = Math.min(to, at + perTxn);
        const success = Array.from({ length: at - first }, (_, offset) => ({
          request: {
            $case: 'request_put' as const,
            value: etcdserverpb.PutRequest.fromPartial({ key: keyOf(first + offset), value }),
          },
        }));
        await this.unary(
          'Txn',
          etcdserverpb.TxnRequest.encode({ compare: [], success, failure: [] }).finish(),
        );
        onProgress(at - from);
      }
    };
    await Promise.all(Array.from({ length: 8 }, lane));
  }

  /** Random requests on keys 0 to `keys - 1` for some seconds, `inFlight` at a time. */
  async run(kind: 'put' | 'get', keys: number, seconds: number, inFlight: number): Promise<LoadFigures> {
    const chance = new Chance(keys + seconds);
    const started = performance.now();
    const end = started + seconds * 1000;
    const latencies: number[] = [];
    const lane = async (): Promise<void> => {
      for (let now = performance.now(); now < end;) {
        const key = keyOf(chance.below(keys));
        if (kind === 'put') {
          await this.unary(
            'Put',
            etcdserverpb.PutRequest.encode(etcdserverpb.PutRequest.fromPartial({ key, value })).finish(),
          );
        } else {
          await this.unary(
            'Range',
            etcdserverpb.RangeRequest.encode(etcdserverpb.RangeRequest.fromPartial({ key })).finish(),
          );
        }
        const answered = performance.now();
        latencies.push(answered - now);
        now = answered;
      }
    };
    await Promise.all(Array.from({ length: inFlight }, lane));
    const perSecond = latencies.length / ((performance.now() - started) / 1000);
    return { perSecond, latencies: Float64Array.from(latencies).sort() };
  }

  private async unary(method: string, message: Uint8Array): Promise<void> {
    const channel = this.channels[this.next++ % this.channels.length];
    await channel.unary(`/etcdserverpb.KV/${method}`, message);
  }
}

/** The value below which this share of the latencies lies. */
export function percentile(latencies: Float64Array, share: number): number {
  return latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))];
}
