import { etcdserverpb as pb, GrpcStatus } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { type Entry } from './entry.js';
import { createClient, type StoreClient } from '../client.js';
import { FakeWorld } from '../testing/fake-client.js';
import { FakeNetwork } from '../testing/fake-transport.js';
import { outcomeOf } from '../testing/outcome.js';
import { VirtualClock } from '../testing/virtual-clock.js';
import {
  type PausableStream,
  TransportError as Failure,
  type TransportFactory,
  type TransportObserver,
} from '../transport.js';

async function filled(count: number, keyPrefix = ''): Promise<{ world: FakeWorld; client: StoreClient }> {
  const world = new FakeWorld();
  const client = world.client(keyPrefix);
  for (let i = 0; i < count; i += 1) await client.kv.put(`k${String(i).padStart(3, '0')}`, String(i));
  return { world, client };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const names = (entries: readonly Entry[]): string[] => entries.map((entry) => entry.key);

describe('pages', () => {
  it('give a range of any size in order, all at the revision of the first, whatever is written meanwhile', async () => {
    const { world, client } = await filled(25, 'app/');
    const seen: string[][] = [];
    for await (const page of client.kv.pages('k', { prefix: true, pageSize: 10 })) {
      seen.push(names(page));
      world.store.putKey('app/k0245', 'late');
      world.store.deleteKey('app/k020');
    }
    expect(seen.map((page) => page.length)).toEqual([10, 10, 5]);
    expect(seen.flat()).toEqual(Array.from({ length: 25 }, (_, i) => `k${String(i).padStart(3, '0')}`));
  });

  it('keep to a limit, to one key, and to a revision that is asked for', async () => {
    const { client } = await filled(25);
    const limited = await all(client.kv.pages('k', { prefix: true, pageSize: 10, limit: 12 }));
    expect(limited.map((page) => page.length)).toEqual([10, 2]);
    expect(await all(client.kv.pages('k003'))).toMatchObject([[{ key: 'k003' }]]);
    expect(await all(client.kv.pages('absent'))).toEqual([]);
    const past = (await client.kv.get('k004'))?.modRevision ?? 0n;
    const old = await all(client.kv.pages('k', { prefix: true, revision: past, pageSize: 2 }));
    expect(old.flat()).toHaveLength(5);
  });

  it('end with CompactedError when their revision is compacted between two of them', async () => {
    const { world, client } = await filled(25);
    const reading = async (): Promise<void> => {
      for await (const page of client.kv.pages('k', { prefix: true, pageSize: 10 })) {
        expect(page).toHaveLength(10);
        world.store.putKey('other', '1');
        world.store.compactTo(world.store.revision);
      }
    };
    await expect(reading()).rejects.toMatchObject({ name: 'CompactedError', code: 'compacted' });
  });

  it('end with StoreReplacedError when the store is replaced between two of them', async () => {
    const { world, client } = await filled(25);
    const reading = async (): Promise<void> => {
      for await (const page of client.kv.pages('k', { prefix: true, pageSize: 10 })) {
        expect(page).toHaveLength(10);
        world.store.replaceStore();
        for (let i = 0; i < 40; i += 1) world.store.putKey(`k${i}`, 'new');
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: 'store-replaced' });
  });

  it('end when they are aborted: between two, and while one is under way', async () => {
    const { world, client } = await filled(25);
    const stop = new AbortController();
    const reading = async (): Promise<void> => {
      for await (const page of client.kv.pages('k', { prefix: true, pageSize: 10, signal: stop.signal })) {
        expect(page).toHaveLength(10);
        stop.abort();
      }
    };
    await expect(reading()).rejects.toMatchObject({ name: 'AbortError', code: 'cancelled' });
    const before = world.store.calls.filter((call) => call === 'range').length;
    await world.clock.settle();
    expect(world.store.calls.filter((call) => call === 'range')).toHaveLength(before);
  });

  it('ask for the next page only when the loop does', async () => {
    const { world, client } = await filled(25);
    const pages = client.kv.pages('k', { prefix: true, pageSize: 10 })[Symbol.asyncIterator]();
    await pages.next();
    await world.clock.settle();
    expect(world.store.calls.filter((call) => call === 'range')).toHaveLength(1);
    await pages.return?.();
  });

  it('refuse what they cannot do, at once', async () => {
    const { client } = await filled(1);
    expect(() => client.kv.pages('k', { pageSize: 0 })).toThrow('pageSize: 0');
    expect(() => client.kv.pages('k', { countOnly: true } as object)).toThrow('countOnly');
    const sort = { by: 'mod', order: 'ascend' } as const;
    expect(() => client.kv.stream('k', { sort } as object)).toThrow('sort: pages come by key');
  });
});

const header = { cluster_id: 1n, member_id: 1n, revision: 40n, raft_term: 3n };

/** The keys from this one on, at most so many, as a member has them. */
function piece(request: pb.RangeRequest, total: number, most: number): pb.RangeResponse {
  const keys = Array.from({ length: total }, (_, i) => `k${String(i).padStart(3, '0')}`);
  const rest = keys.filter((key) => Buffer.compare(Buffer.from(key), request.key) >= 0);
  const limit = Math.min(most, request.limit === 0n ? Infinity : Number(request.limit));
  const kvs = rest.slice(0, limit).map((key) => ({
    key: Buffer.from(key),
    value: Buffer.from(key),
    create_revision: 2n,
    mod_revision: 2n,
    version: 1n,
    lease: 0n,
  }));
  return pb.RangeResponse.create({ header, kvs, more: rest.length > kvs.length, count: BigInt(total) });
}

/** One stream of the fake member below, which the test feeds. */
class FakeStream implements PausableStream {
  isPaused = false;
  isCancelled = false;
  readonly waiting: Uint8Array[] = [];
  delivered = 0;
  private ending: { readonly error: Failure | undefined } | undefined;

  constructor(
    readonly request: pb.RangeRequest,
    private readonly observer: TransportObserver,
  ) {}

  send(response: pb.RangeResponse): void {
    this.waiting.push(pb.RangeStreamResponse.encode({ range_response: response }).finish());
    this.pump();
  }

  end(error?: Failure): void {
    this.ending = { error };
    this.pump();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.pump();
  }

  cancel(): void {
    this.isCancelled = true;
  }

  private pump(): void {
    while (!this.isPaused && !this.isCancelled) {
      const next = this.waiting.shift();
      if (next === undefined) break;
      this.delivered += 1;
      this.observer.message(next);
    }
    if (this.isPaused || this.isCancelled || this.ending === undefined) return;
    const { error } = this.ending;
    this.ending = undefined;
    this.observer.end(error);
  }
}

/** A member with 100 keys whose pages hold 10. `knowsStreams` false: it answers Unimplemented, as etcd before 3.7. */
function member(knowsStreams = true) {
  const clock = new VirtualClock();
  const network = new FakeNetwork((ms, callback) => clock.setTimer(ms, callback));
  const requests: pb.RangeRequest[] = [];
  const streams: FakeStream[] = [];
  let opened = 0;
  network.add('a', {
    revision: 40n,
    answer: (_, bytes) => {
      const request = pb.RangeRequest.decode(bytes);
      requests.push(request);
      return Promise.resolve(pb.RangeResponse.encode(piece(request, 100, 10)).finish());
    },
  });
  const transport: TransportFactory = (endpoint, options) => {
    const inner = network.factory(endpoint, options);
    return {
      unary: (path, request, call) => inner.unary(path, request, call),
      stream: (path, call, observer) => inner.stream(path, call, observer),
      serverStream: (_, bytes, __, observer) => {
        opened += 1;
        const stream = new FakeStream(pb.RangeRequest.decode(bytes), observer);
        if (knowsStreams) streams.push(stream);
        else queueMicrotask(() => stream.end(new Failure(GrpcStatus.Unimplemented, 'unknown method', true)));
        return stream;
      },
      close: () => inner.close(),
    };
  };
  const client = createClient({ endpoints: ['a'], clock, random: () => 0.25, transport });
  return { clock, client, requests, streams, opened: () => opened };
}

const everything = Array.from({ length: 100 }, (_, i) => `k${String(i).padStart(3, '0')}`);

describe('stream', () => {
  it('takes the rest of a range behind the first page from one stream, at the same revision', async () => {
    const { clock, client, requests, streams } = member();
    const reading = outcomeOf(all(client.kv.stream('k', { prefix: true, pageSize: 10 })));
    await clock.settle();
    const [stream] = streams;
    expect(stream?.request).toMatchObject({ revision: 40n, limit: 0n });
    expect(stream?.request.key.toString()).toBe('k009\0');
    for (let at = 10; at < 100; at += 30) {
      const from = pb.RangeRequest.create({ key: Buffer.from(everything[at] ?? '') });
      stream?.send(piece(from, 100, 30));
    }
    stream?.end();
    await clock.settle();
    expect(reading.value?.map((entry) => entry.key)).toEqual(everything);
    expect(requests).toHaveLength(1);
  });

  it('holds the server back while the loop is busy: one message waits here, and no more', async () => {
    const { clock, client, streams } = member();
    const entries = client.kv.stream('k', { prefix: true, pageSize: 10 })[Symbol.asyncIterator]();
    for (let i = 0; i < 10; i += 1) await entries.next();
    const next = outcomeOf(entries.next());
    await clock.settle();
    const [stream] = streams;
    for (let at = 10; at < 100; at += 10) {
      const from = pb.RangeRequest.create({ key: Buffer.from(everything[at] ?? '') });
      stream?.send(piece(from, 100, 10));
    }
    await clock.settle();
    expect(next.value?.value).toMatchObject({ key: 'k010' });
    expect([stream?.delivered, stream?.isPaused]).toEqual([1, true]);
    for (let i = 0; i < 10; i += 1) await entries.next();
    expect(stream?.delivered).toBe(2);
    await entries.return?.();
    expect(stream?.isCancelled).toBe(true);
  });

  it('goes on behind the last entry, at the same revision, after a stream was cut', async () => {
    const { clock, client, requests, streams } = member();
    const reading = outcomeOf(all(client.kv.stream('k', { prefix: true, pageSize: 10 })));
    await clock.settle();
    streams[0]?.send(piece(pb.RangeRequest.create({ key: Buffer.from('k010') }), 100, 35));
    streams[0]?.end(new Failure(GrpcStatus.Unavailable, 'connection reset', true));
    await clock.advance(1_000);
    expect(requests[1]).toMatchObject({ revision: 40n, limit: 10n });
    expect(requests[1]?.key.toString()).toBe('k044\0');
    streams[1]?.send(piece(pb.RangeRequest.create({ key: Buffer.from('k055') }), 100, 100));
    streams[1]?.end();
    await clock.settle();
    expect(reading.value?.map((entry) => entry.key)).toEqual(everything);
  });

  it('reads pages where the server does not know streams, and remembers it', async () => {
    const { clock, client, opened } = member(false);
    const read = async () => {
      const reading = outcomeOf(all(client.kv.stream('k', { prefix: true, pageSize: 10 })));
      await clock.advance(1_000);
      return reading.value?.map((entry) => entry.key);
    };
    expect(await read()).toEqual(everything);
    expect(await read()).toEqual(everything);
    expect(opened()).toBe(1);
  });

  it('keeps to a limit over page and stream', async () => {
    const { clock, client, streams } = member();
    const reading = outcomeOf(all(client.kv.stream('k', { prefix: true, pageSize: 10, limit: 15 })));
    await clock.settle();
    expect(streams[0]?.request.limit).toBe(5n);
    streams[0]?.send(piece(pb.RangeRequest.create({ key: Buffer.from('k010') }), 100, 5));
    streams[0]?.end();
    await clock.settle();
    expect(reading.value?.map((entry) => entry.key)).toEqual(everything.slice(0, 15));
  });

  it('ends with the error of the server when that is final, and when it is aborted', async () => {
    const { clock, client, streams } = member();
    const stop = new AbortController();
    const read = (signal?: AbortSignal) => {
      const options = { prefix: true, pageSize: 10, ...(signal === undefined ? {} : { signal }) };
      return outcomeOf(all(client.kv.stream('k', options)));
    };
    const compacted = read();
    await clock.settle();
    const text = 'etcdserver: mvcc: required revision has been compacted';
    streams[0]?.end(new Failure(GrpcStatus.OutOfRange, text, true));
    const aborted = read(stop.signal);
    await clock.settle();
    expect(compacted.error).toMatchObject({ code: 'compacted' });
    expect(aborted.settled).toBe(false);
    stop.abort();
    await clock.settle();
    expect(aborted.error).toMatchObject({ code: 'cancelled' });
    expect(streams[1]?.isCancelled).toBe(true);
  });
});
