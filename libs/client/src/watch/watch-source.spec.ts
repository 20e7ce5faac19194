import { etcdserverpb as pb, type mvccpb } from '@conclave/protocol';
import { firstValueFrom } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { CompactedError, UnavailableError } from '../errors.js';
import { type KvStore } from '../kv-store.js';
import { StoreWatchSource } from './watch-source.js';

const keys = 5_000;
const nameOf = (at: number): string => `k${String(at).padStart(5, '0')}`;
const everything = { start: Buffer.from('k'), end: Buffer.from('l') };
const header = pb.ResponseHeader.create({ cluster_id: 7n, revision: 9n });

/** A store of many keys that notes what it is asked. A stream of it ends with `failure` after `pieces` pieces of 1,500 keys. */
class CountingStore {
  readonly asked: string[] = [];

  constructor(private readonly stream: { readonly pieces: number; readonly failure?: Error } | undefined) {}

  range(request: pb.RangeRequest): Promise<pb.RangeResponse> {
    this.asked.push(`range ${request.key.toString()} ${request.limit} at ${request.revision}`);
    return Promise.resolve(this.answer(request, Number(request.limit)));
  }

  rangeStream(request: pb.RangeRequest): AsyncIterable<pb.RangeResponse> | undefined {
    if (this.stream === undefined) return undefined;
    this.asked.push(`stream ${request.key.toString()} ${request.limit} at ${request.revision}`);
    return this.pieces(request, this.stream);
  }

  private async *pieces(
    request: pb.RangeRequest,
    stream: { readonly pieces: number; readonly failure?: Error },
  ): AsyncGenerator<pb.RangeResponse> {
    let { key } = request;
    for (let piece = 0; piece < stream.pieces; piece += 1) {
      const answer = this.answer({ ...request, key }, 1_500);
      await Promise.resolve();
      yield answer;
      key = Buffer.concat([answer.kvs.at(-1)?.key ?? key, Buffer.of(0)]);
      if (!answer.more) return;
    }
    if (stream.failure !== undefined) throw stream.failure;
  }

  private answer({ key, keys_only }: pb.RangeRequest, limit: number): pb.RangeResponse {
    const rest: mvccpb.KeyValue[] = [];
    for (let at = 0; at < keys; at += 1) {
      if (Buffer.compare(Buffer.from(nameOf(at)), key) < 0) continue;
      const value = Buffer.alloc(keys_only ? 0 : 1_000, at);
      rest.push({ key: Buffer.from(nameOf(at)), value, ...numbers });
    }
    return { header, kvs: rest.slice(0, limit), more: rest.length > limit, count: BigInt(rest.length) };
  }
}
const numbers = { create_revision: 1n, mod_revision: 2n, version: 1n, lease: 0n };

function listed(store: CountingStore, arrived: (kvs: readonly mvccpb.KeyValue[]) => void = () => undefined) {
  const options = { prevKv: false, puts: true, deletes: true };
  const source = new StoreWatchSource(store as unknown as KvStore, everything, options);
  return firstValueFrom(source.list({ values: true, revision: 0n, arrived }));
}

describe('the list of a watch', () => {
  const all = Array.from({ length: keys }, (_, at) => nameOf(at));

  it.each([
    ['pages that fit their keys', undefined, 3],
    ['a stream behind the first page', { pieces: 9 }, 2],
    ['pages behind a stream that broke', { pieces: 1, failure: new UnavailableError('gone') }, 4],
    ['pages where streams are refused', { pieces: 0, failure: new UnavailableError('unknown method') }, 5],
  ])('comes as %s: each key once, in order, at one revision', async (_, stream, requestsMax) => {
    const store = new CountingStore(stream);
    const arrived: string[] = [];
    const listing = await listed(store, (kvs) => arrived.push(...kvs.map(({ key }) => key.toString())));
    expect(listing.kvs.map(({ key }) => key.toString())).toEqual(all);
    expect(arrived).toEqual(all);
    expect(listing).toMatchObject({ clusterId: 7n, revision: 9n });
    expect(store.asked.length).toBeLessThanOrEqual(requestsMax);
    expect(store.asked[0]).toBe('range k 1000 at 0');
    for (const later of store.asked.slice(1)) expect(later).toMatch(/ at 9$/);
  });

  it('fails with what is no matter of the way', async () => {
    const failure = new CompactedError('compacted', 5n);
    await expect(listed(new CountingStore({ pieces: 1, failure }))).rejects.toBe(failure);
  });
});
