import { describe, expect, it } from 'vitest';
import { LockTimeoutError, MaybeAppliedError } from '../errors.js';
import { FakeWorld } from '../testing/fake-client.js';
import { outcomeOf } from '../testing/outcome.js';

describe('mutex: acquire and release', () => {
  const lockPut = (request: unknown): boolean =>
    JSON.stringify(request, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v)).includes(
      'request_put',
    );

  it('P11 finds its own key when the answer to the acquiring transaction was lost', async () => {
    const world = new FakeWorld();
    world.store.dropAnswers('txn', 1, lockPut);
    const acquiring = outcomeOf(world.client().locks.mutex('m').acquire());
    await world.clock.advance(1_000);
    expect(acquiring.value?.isHeld()).toBe(true);
    expect(world.store.keys()).toEqual([acquiring.value?.key]);
    expect(acquiring.value?.token).toBe(2n);
    await acquiring.value?.release();
    expect(world.store.keys()).toEqual([]);
    expect(await world.client().locks.mutex('m').tryAcquire()).not.toBeNull();
  });

  it('P11 deletes the key, and ends the session, when it gives up on an unknown outcome', async () => {
    const world = new FakeWorld();
    const client = world.client();
    world.store.dropAnswers('txn', 1_000, lockPut);
    const acquiring = outcomeOf(client.locks.mutex('m').acquire({ wait: '2s' }));
    await world.clock.advance(3_000);
    expect(acquiring.error).toBeInstanceOf(LockTimeoutError);
    expect(world.store.keys()).toEqual([]);
    // A late put of the old session could bring the key back; without the lease it cannot.
    expect(world.store.liveLeases).toEqual([]);
  });

  it('P11 a plain put with a lost answer is reported and not repeated', async () => {
    const world = new FakeWorld();
    world.store.dropAnswers('put');
    await expect(world.client().kv.put('k', 'v')).rejects.toBeInstanceOf(MaybeAppliedError);
    expect(world.store.calls.filter((method) => method === 'put')).toHaveLength(1);
  });

  it('P12 deletes only its own key: another owner of the same name is left alone', async () => {
    const world = new FakeWorld();
    const handle = await world.client().locks.mutex('m').acquire();
    const { key } = handle;
    world.store.partition();
    world.store.deleteKey(key);
    world.store.putKey(key, 'another life of the key');
    world.store.heal();
    await handle.release();
    await world.clock.settle();
    expect(world.store.keys()).toEqual([key]);
  });

  it('P12 repeats a release that failed or whose answer was lost, and never rejects', async () => {
    const world = new FakeWorld();
    const handle = await world.client().locks.mutex('m').acquire();
    world.store.refuse('txn', 2);
    world.store.dropAnswers('txn', 1);
    const release = outcomeOf(handle.release());
    await world.clock.advance(2_000);
    expect(release).toMatchObject({ settled: true });
    expect(release.error).toBeUndefined();
    expect(world.store.keys()).toEqual([]);
  });

  it('P12 a second release ends with the first one, not before the key is deleted', async () => {
    const world = new FakeWorld();
    const handle = await world.client().locks.mutex('m').acquire();
    const arrive = world.store.delayRequest('txn');
    const releases = [outcomeOf(handle.release()), outcomeOf(handle.release())];
    await world.clock.settle();
    expect(releases.map((release) => release.settled)).toEqual([false, false]);
    arrive();
    await world.clock.settle();
    expect(releases.map((release) => release.settled)).toEqual([true, true]);
    expect(world.store.keys()).toEqual([]);
  });

  it("P12 never hides the error of the caller's function behind a failing release", async () => {
    const world = new FakeWorld();
    const result = outcomeOf(
      world
        .client()
        .locks.mutex('m', { ttl: '3s' })
        .run(() => {
          world.store.partition();
          return Promise.reject(new Error('of the caller'));
        }),
    );
    await world.clock.advance(10_000);
    expect(result.error?.message).toBe('of the caller');
  });

  it('P13 a waiter watches its predecessor and itself, and nobody else', async () => {
    const world = new FakeWorld();
    const first = await world.client().locks.mutex('m').acquire();
    const second = outcomeOf(world.client().locks.mutex('m').acquire());
    await world.clock.settle();
    const watchedBefore = world.store.watchers.length;
    const third = outcomeOf(world.client().locks.mutex('m').acquire());
    await world.clock.settle();
    const watched = world.store.watchers.slice(watchedBefore).map((stream) => stream.created?.key.toString());
    const [, secondKey, thirdKey] = world.store.keys();
    expect(watched.sort()).toEqual([secondKey, thirdKey]);
    // The second leaves; the first still holds, so the vanished predecessor is not yet ownership.
    world.store.deleteKey(secondKey ?? '');
    await world.clock.settle();
    expect(third.settled).toBe(false);
    expect(second.settled).toBe(false);
    await first.release();
    await world.clock.settle();
    expect(third.value?.isHeld()).toBe(true);
  });

  it('P13 goes on waiting over a compaction and a lost stream', async () => {
    const world = new FakeWorld();
    const first = await world.client().locks.mutex('m').acquire();
    const second = outcomeOf(world.client().locks.mutex('m').acquire());
    await world.clock.settle();
    world.store.partition();
    for (let i = 0; i < 5; i += 1) world.store.putKey('other', String(i));
    world.store.compactTo(world.store.revision);
    world.store.heal();
    await world.clock.advance(1_000);
    expect(second.settled).toBe(false);
    await first.release();
    await world.clock.settle();
    expect(second.value?.isHeld()).toBe(true);
  });

  it('P14 queues acquirers of one process before they share the key that the lease names', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const first = await client.locks.mutex('m').acquire();
    const second = outcomeOf(client.locks.mutex('m').acquire());
    const third = outcomeOf(client.locks.mutex('m').acquire());
    await world.clock.settle();
    expect(second.settled).toBe(false);
    expect(world.store.keys()).toEqual([first.key]);
    expect(await client.locks.mutex('m').tryAcquire()).toBeNull();
    await first.release();
    await world.clock.settle();
    expect(second.value?.isHeld()).toBe(true);
    expect(third.settled).toBe(false);
    expect(second.value?.token).toBeGreaterThan(first.token);
    await second.value?.release();
    await world.clock.settle();
    expect(third.value?.isHeld()).toBe(true);
  });

  it('P15 an abort while waiting rejects with an AbortError and takes the key away', async () => {
    const world = new FakeWorld();
    const first = await world.client().locks.mutex('m').acquire();
    const stop = new AbortController();
    const second = outcomeOf(world.client().locks.mutex('m').acquire({ signal: stop.signal }));
    await world.clock.settle();
    expect(world.store.keys()).toHaveLength(2);
    stop.abort();
    await world.clock.settle();
    expect(second.error).toMatchObject({ name: 'AbortError', code: 'cancelled' });
    expect(world.store.keys()).toEqual([first.key]);
  });

  it('P15 an abort while the grant is in flight leaves no key behind', async () => {
    const world = new FakeWorld();
    const answer = world.store.holdAnswer('txn', lockPut);
    const stop = new AbortController();
    const client = world.client();
    const acquiring = outcomeOf(client.locks.mutex('m').acquire({ signal: stop.signal }));
    await world.clock.settle();
    expect(world.store.keys()).toHaveLength(1);
    stop.abort();
    await world.clock.advance(2_000);
    expect(acquiring.error).toMatchObject({ name: 'AbortError' });
    answer();
    await world.clock.settle();
    expect(world.store.keys()).toEqual([]);
    expect(await client.locks.mutex('m').tryAcquire()).not.toBeNull();
  });

  it('P15 an abort while the request is on its way deletes the key after it arrived, not before', async () => {
    const world = new FakeWorld();
    const arrive = world.store.delayRequest('txn', lockPut);
    const stop = new AbortController();
    const client = world.client();
    const acquiring = outcomeOf(client.locks.mutex('m').acquire({ signal: stop.signal }));
    await world.clock.settle();
    stop.abort();
    await world.clock.advance(2_000);
    expect(acquiring.error).toMatchObject({ name: 'AbortError' });
    expect(await client.locks.mutex('m').tryAcquire()).toBeNull(); // the place in the process is not free yet
    arrive();
    await world.clock.settle();
    expect(world.store.keys()).toEqual([]);
    expect(await client.locks.mutex('m').tryAcquire()).not.toBeNull();
  });

  it('P15 an abort at any moment around the grant leaves a held lock or nothing', async () => {
    for (let turns = 0; turns < 24; turns += 1) {
      const world = new FakeWorld();
      const answer = world.store.holdAnswer('txn', lockPut);
      const stop = new AbortController();
      const acquiring = outcomeOf(world.client().locks.mutex('m').acquire({ signal: stop.signal }));
      await world.clock.settle();
      answer();
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      stop.abort();
      await world.clock.advance(2_000);
      expect(acquiring.settled).toBe(true);
      expect(world.store.keys()).toEqual(acquiring.value === undefined ? [] : [acquiring.value.key]);
    }
  });

  it('P15 closing at any moment around the grant leaves nothing', async () => {
    for (let turns = 0; turns < 24; turns += 1) {
      const world = new FakeWorld();
      const answer = world.store.holdAnswer('txn', lockPut);
      const client = world.client();
      const acquiring = outcomeOf(client.locks.mutex('m').acquire());
      await world.clock.settle();
      answer();
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      const closed = client.close();
      await world.clock.advance(6_000);
      await closed;
      expect(acquiring.value?.isHeld() ?? false).toBe(false);
      expect(world.store.keys()).toEqual([]);
      expect(world.store.liveLeases).toEqual([]);
    }
  });

  it('P15 closing the client ends waiting and held locks, and leaves nothing behind', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const held = await client.locks.mutex('a').acquire();
    const blocked = await world.client().locks.mutex('b').acquire();
    const waiting = outcomeOf(client.locks.mutex('b').acquire());
    const local = outcomeOf(client.locks.mutex('a').acquire());
    await world.clock.settle();
    await client.close();
    expect(waiting.error).toMatchObject({ code: 'closed' });
    expect(local.error).toMatchObject({ code: 'closed' });
    expect(held.signal.reason).toMatchObject({ lossReason: 'closed' });
    expect(world.store.keys()).toEqual([blocked.key]);
    await expect(client.locks.mutex('c').acquire()).rejects.toMatchObject({ code: 'closed' });
  });

  it('P15 an already aborted signal asks the store nothing', async () => {
    const world = new FakeWorld();
    await expect(
      world.client().locks.mutex('m').acquire({ signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(world.store.calls).toEqual([]);
  });

  it('reports a function that does not stop after the loss', async () => {
    const world = new FakeWorld();
    const result = outcomeOf(
      world
        .client()
        .locks.mutex('m', { ttl: '3s' })
        .run(() => new Promise<void>(() => undefined), { abortGrace: '1s' }),
    );
    await world.clock.settle();
    world.store.partition();
    await world.clock.advance(2_500);
    expect(result.settled).toBe(false);
    await world.clock.advance(1_000);
    expect(result.error).toMatchObject({ code: 'lock-lost', stillRunning: true });
  });
});
