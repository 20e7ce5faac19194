import { describe, expect, it } from 'vitest';
import { FakeWorld } from '../testing/fake-client.js';
import { outcomeOf } from '../testing/outcome.js';

describe('read-write lock', () => {
  it('is held by many readers of one or more processes, or by one writer', async () => {
    const world = new FakeWorld();
    const [a, b] = [world.client(), world.client()];
    const readers = [
      await a.locks.rwlock('rw').read.acquire(),
      await a.locks.rwlock('rw').read.acquire(),
      await b.locks.rwlock('rw').read.acquire(),
    ];
    expect(new Set(readers.map((reader) => reader.key)).size).toBe(3);
    const writer = outcomeOf(b.locks.rwlock('rw').write.acquire());
    await world.clock.settle();
    for (const reader of readers) {
      expect(writer.settled).toBe(false);
      await reader.release();
      await world.clock.settle();
    }
    expect(writer.value?.isHeld()).toBe(true);
    expect(await a.locks.rwlock('rw').read.tryAcquire()).toBeNull();
    expect(await a.locks.rwlock('rw').write.tryAcquire()).toBeNull();
    await writer.value?.release();
    expect(world.store.keys()).toEqual([]);
  });

  it('serves in the order of asking: a waiting writer stops later readers, who then come together', async () => {
    const world = new FakeWorld();
    const order: string[] = [];
    const first = await world.client().locks.rwlock('rw').read.acquire();
    const writing = outcomeOf(world.client().locks.rwlock('rw').write.acquire());
    await world.clock.settle();
    const late = [1, 2].map((n) =>
      world
        .client()
        .locks.rwlock('rw')
        .read.run(async () => {
          order.push(`in ${n}`);
          await world.clock.settle();
          order.push(`out ${n}`);
        }),
    );
    await world.clock.settle();
    expect(order).toEqual([]);
    await first.release();
    await world.clock.settle();
    expect(writing.value?.isHeld()).toBe(true);
    expect(order).toEqual([]);
    await writing.value?.release();
    await Promise.all(late);
    expect(order.slice(0, 2).sort()).toEqual(['in 1', 'in 2']);
  });

  it('lets readers go on when the writer that they waited for gives up, also one in the middle', async () => {
    const world = new FakeWorld();
    const reader = await world.client().locks.rwlock('rw').read.acquire();
    const stop = new AbortController();
    const writers = [
      outcomeOf(world.client().locks.rwlock('rw').write.acquire({ signal: stop.signal })),
      outcomeOf(world.client().locks.rwlock('rw').write.acquire({ signal: stop.signal })),
    ];
    await world.clock.settle();
    const late = outcomeOf(world.client().locks.rwlock('rw').read.acquire());
    await world.clock.settle();
    const keys = (await world.client().locks.rwlock('rw').queue()).map((waiter) => waiter.key);
    world.store.deleteKey(keys[2] ?? ''); // the second writer, whom the reader watches
    await world.clock.settle();
    expect(late.settled).toBe(false);
    stop.abort();
    await world.clock.settle();
    expect(writers.map((writer) => writer.error?.code)).toEqual(['cancelled', 'cancelled']);
    expect(late.value?.isHeld()).toBe(true);
    expect(reader.isHeld()).toBe(true);
  });

  it('P13 a reader watches the writer before it and itself, a writer one predecessor at a time', async () => {
    const world = new FakeWorld();
    await world.client().locks.rwlock('rw').read.acquire();
    await world.client().locks.rwlock('rw').read.acquire();
    const watchedBy = async (act: () => unknown): Promise<string[]> => {
      const before = new Set(world.store.watchers);
      act();
      await world.clock.settle();
      const added = world.store.watchers.filter((stream) => !before.has(stream));
      return added.map((stream) => stream.created?.key.toString() ?? '').sort();
    };
    const byWriter = await watchedBy(() => outcomeOf(world.client().locks.rwlock('rw').write.acquire()));
    const byReader = await watchedBy(() => outcomeOf(world.client().locks.rwlock('rw').read.acquire()));
    const queue = (await world.client().locks.rwlock('rw').queue()).map((waiter) => waiter.key);
    expect(byWriter).toEqual([queue[1], queue[2]].sort());
    expect(byReader).toEqual([queue[2], queue[3]].sort());
  });

  it('goes on waiting over a compaction, a lost stream and a partition', async () => {
    const world = new FakeWorld();
    const writer = await world.client().locks.rwlock('rw').write.acquire();
    const readers = [1, 2].map(() => outcomeOf(world.client().locks.rwlock('rw').read.acquire()));
    await world.clock.settle();
    world.store.partition();
    await world.clock.advance(2_000);
    for (let i = 0; i < 5; i += 1) world.store.putKey('other', String(i));
    world.store.compactTo(world.store.revision);
    world.store.heal();
    await world.clock.advance(1_000);
    expect(readers.map((reader) => reader.settled)).toEqual([false, false]);
    await writer.release();
    await world.clock.settle();
    expect(readers.map((reader) => reader.value?.isHeld())).toEqual([true, true]);
  });

  it('loses a reader as a mutex is lost: by its clock before the store, and by its key at once', async () => {
    const world = new FakeWorld();
    const reader = await world.client().locks.rwlock('rw', { ttl: '9s', margin: '1s' }).read.acquire();
    const other = await world.client().locks.rwlock('rw').read.acquire();
    await world.clock.advance(100);
    world.store.deleteKey(other.key);
    await world.clock.settle();
    expect(other.signal.reason).toMatchObject({ lossReason: 'key-deleted' });
    world.store.partition();
    await world.clock.advance(8_000);
    expect(reader.signal.reason).toMatchObject({ code: 'lock-lost', lossReason: 'lease-expired-local' });
    expect(world.store.keys()).toContain(reader.key);
  });

  it('P11 finds its own key when the answer to the asking was lost, as a reader and as a writer', async () => {
    const world = new FakeWorld();
    for (const side of ['read', 'write'] as const) {
      world.store.dropAnswers('txn', 1);
      const acquiring = outcomeOf(world.client().locks.rwlock('rw')[side].acquire());
      await world.clock.advance(500);
      expect(world.store.keys()).toEqual([acquiring.value?.key]);
      world.store.dropAnswers('txn', 1);
      const tried = outcomeOf(world.client().locks.rwlock('other')[side].tryAcquire());
      await world.clock.advance(500);
      expect(tried.value?.isHeld()).toBe(true);
      await Promise.all([acquiring.value?.release(), tried.value?.release()]);
    }
    expect(world.store.keys()).toEqual([]);
  });

  it('P15 an already aborted signal asks the store nothing', async () => {
    const world = new FakeWorld();
    const signal = AbortSignal.abort();
    const { read, write } = world.client().locks.rwlock('rw');
    await expect(read.acquire({ signal })).rejects.toMatchObject({ name: 'AbortError' });
    await expect(write.acquire({ signal })).rejects.toMatchObject({ name: 'AbortError' });
    expect(world.store.calls).toEqual([]);
  });

  it('P15 an abort or a close at any moment leaves a held lock or nothing', async () => {
    for (let turns = 0; turns < 30; turns += 1) {
      const world = new FakeWorld();
      const client = world.client();
      const stop = new AbortController();
      const lock = client.locks.rwlock('rw');
      const held = [
        outcomeOf(lock.read.acquire({ signal: stop.signal })),
        outcomeOf(lock.write.acquire({ signal: stop.signal })),
        outcomeOf(lock.read.acquire({ signal: stop.signal })),
      ];
      for (let turn = 0; turn < turns * 2; turn += 1) await Promise.resolve();
      stop.abort();
      await world.clock.advance(2_000);
      expect(held.every((outcome) => outcome.settled)).toBe(true);
      const keys = held.flatMap((outcome) => (outcome.value === undefined ? [] : [outcome.value.key]));
      expect(world.store.keys()).toEqual(keys.sort());
      await client.close();
      expect(world.store.keys()).toEqual([]);
    }
  });

  it('gives rising tokens to writers, and none to readers', async () => {
    const world = new FakeWorld();
    const { read, write } = world.client().locks.rwlock('rw');
    const first = await write.acquire();
    await first.release();
    const second = await write.acquire();
    expect(second.token).toBeGreaterThan(first.token);
    await second.release();
    await read.run((handle) => {
      // @ts-expect-error A reader has no token.
      expect(handle.token).toBeDefined();
      return Promise.resolve();
    });
  });

  it('P16 refuses to write under a read of the same chain, and to read under a write', async () => {
    const world = new FakeWorld();
    const { read, write } = world.client().locks.rwlock('rw');
    const deadlock = { code: 'deadlock' };
    await expect(read.run(() => write.acquire())).rejects.toMatchObject(deadlock);
    await expect(write.run(() => read.acquire())).rejects.toMatchObject(deadlock);
    await expect(read.run(() => read.acquire())).rejects.toMatchObject(deadlock);
    expect(world.store.keys()).toEqual([]);
  });

  it('shows all readers before the first writer as holders', async () => {
    const world = new FakeWorld();
    const lock = world.client().locks.rwlock('rw');
    await lock.read.acquire();
    await lock.read.acquire();
    void outcomeOf(lock.write.acquire());
    await world.clock.settle();
    void outcomeOf(lock.read.acquire());
    await world.clock.settle();
    expect((await lock.queue()).map((waiter) => waiter.isHolder)).toEqual([true, true, false, false]);
  });
});
