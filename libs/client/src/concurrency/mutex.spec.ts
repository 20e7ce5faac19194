import { firstValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { LockLostError, LockTimeoutError, MaybeAppliedError } from '../errors.js';
import { compare, op } from '../kv/operations.js';
import { FakeWorld } from '../testing/fake-client.js';
import { type LockHandle } from './mutex.js';

/** What became of a promise so far. */
function outcome<T>(promise: Promise<T>): { value?: T; error?: Error & { code?: string }; settled: boolean } {
  const seen: { value?: T; error?: Error & { code?: string }; settled: boolean } = { settled: false };
  promise.then(
    (value) => Object.assign(seen, { value, settled: true }),
    (error: Error) => Object.assign(seen, { error, settled: true }),
  );
  return seen;
}

describe('mutex', () => {
  it('is held by one client at a time, in the order of asking, with rising tokens', async () => {
    const world = new FakeWorld();
    const order: string[] = [];
    const tokens: bigint[] = [];
    const clients = [world.client(), world.client(), world.client()];
    const work = clients.map(async (client, index) => {
      const handle = await client.locks.mutex('m').acquire();
      order.push(`in ${index}`);
      tokens.push(handle.token);
      await world.clock.settle();
      order.push(`out ${index}`);
      await handle.release();
    });
    for (let turn = 0; turn < 10; turn += 1) await world.clock.settle();
    await Promise.all(work);
    expect(order).toEqual(['in 0', 'out 0', 'in 1', 'out 1', 'in 2', 'out 2']);
    expect(tokens).toEqual([...tokens].sort((a, b) => (a < b ? -1 : 1)));
    expect(new Set(tokens).size).toBe(3);
    expect(world.store.keys()).toEqual([]);
  });

  it('keeps its keys where the prefix and the name say, and at the bare name with raw', async () => {
    const world = new FakeWorld();
    const client = world.client('apps/a/');
    const one = await client.locks.mutex('inv/oice').acquire();
    const two = await client.locks.mutex('plain', { raw: true }).acquire();
    const hex = one.leaseId.toString(16);
    expect(world.store.keys()).toEqual([`apps/a/locks/inv%2Foice/${hex}`, `plain/${hex}`]);
    expect(two.key).toBe(`plain/${hex}`);
  });

  it('gives null to tryAcquire, and leaves no key, when the lock is taken', async () => {
    const world = new FakeWorld();
    const held = await world.client().locks.mutex('m').acquire();
    const other = world.client().locks.mutex('m');
    expect(await other.tryAcquire()).toBeNull();
    expect(world.store.keys()).toEqual([held.key]);
    await expect(other.acquire({ wait: 0 })).rejects.toBeInstanceOf(LockTimeoutError);
    await held.release();
    expect(await other.tryAcquire()).not.toBeNull();
  });

  it('rejects when the wait is over, and takes its key away', async () => {
    const world = new FakeWorld();
    const held = await world.client().locks.mutex('m').acquire();
    const waiting = outcome(world.client().locks.mutex('m').acquire({ wait: '3s' }));
    await world.clock.advance(2_999);
    expect(waiting.settled).toBe(false);
    expect(world.store.keys()).toHaveLength(2);
    await world.clock.advance(1);
    expect(waiting.error).toBeInstanceOf(LockTimeoutError);
    expect(world.store.keys()).toEqual([held.key]);
  });

  it('tells a waiter how many stand before it', async () => {
    const world = new FakeWorld();
    const first = await world.client().locks.mutex('m').acquire();
    const second = world.client().locks.mutex('m').acquire();
    await world.clock.settle();
    const seen: number[] = [];
    const third = world
      .client()
      .locks.mutex('m')
      .acquire({ onQueued: (ahead) => seen.push(ahead) });
    await world.clock.settle();
    expect(seen).toEqual([2]);
    await first.release();
    await (await second).release();
    await (await third).release();
  });

  it('runs a function under the lock and releases it, whatever the function does', async () => {
    const world = new FakeWorld();
    const mutex = world.client().locks.mutex('m');
    expect(await mutex.run((handle) => Promise.resolve(handle.token > 0n))).toBe(true);
    await expect(mutex.run(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
    expect(world.store.keys()).toEqual([]);
  });

  it('releases at the end of a block with `await using`', async () => {
    const world = new FakeWorld();
    const mutex = world.client().locks.mutex('m');
    {
      await using handle = await mutex.acquire();
      expect(world.store.keys()).toEqual([handle.key]);
    }
    expect(world.store.keys()).toEqual([]);
  });

  it('commits a guarded transaction while held, and refuses it at the store when not', async () => {
    const world = new FakeWorld();
    const client = world.client('p/');
    const handle = await client.locks.mutex('m').acquire();
    const done = await handle.guardTxn((txn) => txn.if(compare.missing('k')).do(op.put('k', '1')));
    expect(done.succeeded).toBe(true);
    expect((await client.kv.get('k'))?.text).toBe('1');
    const refusedByCaller = await handle.guardTxn((txn) => txn.if(compare.missing('k')).do(op.put('k', '2')));
    expect(refusedByCaller.succeeded).toBe(false);
    world.store.partition();
    world.store.deleteKey(handle.key);
    world.store.heal();
    await expect(handle.guardTxn((txn) => txn.do(op.put('k', '3')))).rejects.toMatchObject({
      code: 'fenced-off',
    });
    expect((await client.kv.get('k'))?.text).toBe('1');
    expect(handle.signal.aborted).toBe(true);
  });

  it('verifies against the store, and is not-held after a release', async () => {
    const world = new FakeWorld();
    const handle = await world.client().locks.mutex('m').acquire();
    await handle.verify();
    expect(handle.headers()).toEqual({
      'x-conclave-fencing-token': String(handle.token),
      'x-conclave-lock': 'm',
    });
    await handle.release();
    await handle.release();
    expect(handle.signal.aborted).toBe(false);
    expect(handle.remainingMs()).toBe(0);
    expect(() => handle.assertHeld()).toThrow(expect.objectContaining({ code: 'not-held' }));
  });

  it('loses the lock at once when somebody deletes its key, and tells it by every means', async () => {
    const world = new FakeWorld();
    const handle = await world.client().locks.mutex('m').acquire();
    const told = firstValueFrom(handle.validity$.pipe(toArray()));
    world.store.deleteKey(handle.key);
    await world.clock.settle();
    expect(handle.isHeld()).toBe(false);
    expect(handle.signal.reason).toMatchObject({ code: 'lock-lost', lossReason: 'key-deleted' });
    expect((await told).map((validity) => validity.kind)).toEqual(['held', 'lost']);
    expect(() => handle.assertHeld()).toThrow(LockLostError);
  });

  it('is lost when another store answers', async () => {
    const world = new FakeWorld();
    const handle = await world.client().locks.mutex('m').acquire();
    world.store.replaceStore();
    await world.clock.settle();
    expect(handle.signal.reason).toMatchObject({ lossReason: 'store-replaced' });
  });
});

describe('mutex: belief and time', () => {
  it('P1 stops believing at the sending of the last acknowledged keep-alive + TTL - margin, partition or not', async () => {
    const world = new FakeWorld();
    const handle = await world.client().locks.mutex('m', { ttl: '9s', margin: '1s' }).acquire();
    await world.clock.advance(4_000); // keep-alives were sent at 0 s and 3 s
    world.store.partition();
    expect(handle.remainingMs()).toBe(7_000);
    await world.clock.advance(6_999);
    expect(handle.isHeld()).toBe(true);
    expect(handle.signal.aborted).toBe(false);
    await world.clock.advance(1);
    expect(handle.signal.aborted).toBe(true);
    expect(handle.signal.reason).toMatchObject({ lossReason: 'lease-expired-local' });
    // The store still has the key: the holder stopped first.
    expect(world.store.keys()).toEqual([handle.key]);
    await world.clock.advance(1_000);
    expect(world.store.keys()).toEqual([]);
  });

  it('P2 knows by the clock after a stall, before any timer has fired, and run() checks again after fn', async () => {
    const world = new FakeWorld();
    const mutex = world.client().locks.mutex('m', { ttl: '3s' });
    let during: LockHandle | undefined;
    const result = outcome(
      mutex.run((handle) => {
        during = handle;
        world.clock.stall(10_000);
        expect(handle.signal.aborted).toBe(false);
        return Promise.resolve('done');
      }),
    );
    await world.clock.settle();
    expect(during?.isHeld()).toBe(false);
    expect(result.error).toMatchObject({ code: 'lock-lost', lossReason: 'lease-expired-local' });
  });

  it('P2 refuses in assertHeld after a stall, and wants the asked time to remain', async () => {
    const world = new FakeWorld();
    const handle = await world.client().locks.mutex('m', { ttl: '10s', margin: '1s' }).acquire();
    handle.assertHeld('9s');
    expect(() => handle.assertHeld('9001ms')).toThrow(LockLostError);
    expect(handle.isHeld()).toBe(true);
    world.clock.stall(9_000);
    expect(handle.signal.aborted).toBe(false);
    expect(() => handle.assertHeld()).toThrow(LockLostError);
    expect(handle.signal.aborted).toBe(true);
  });

  it('P3 is lost when the wall clock alone says that the term is over, as after a sleep of the machine', async () => {
    const world = new FakeWorld();
    const handle = await world.client().locks.mutex('m', { ttl: '10s' }).acquire();
    world.clock.jumpWall(60_000);
    expect(handle.isHeld()).toBe(false);
    expect(handle.signal.reason).toMatchObject({ lossReason: 'clock-jump' });
  });

  it('P3 is not lost later because the wall clock was set back', async () => {
    const world = new FakeWorld();
    const handle = await world.client().locks.mutex('m', { ttl: '10s', margin: '1s' }).acquire();
    world.clock.jumpWall(-3_600_000);
    world.store.partition();
    expect(handle.remainingMs()).toBeLessThanOrEqual(9_000);
    await world.clock.advance(9_000);
    expect(handle.isHeld()).toBe(false);
  });

  it('P6 does not report success when its own session ended while it waited', async () => {
    const world = new FakeWorld();
    const holder = await world.client().locks.mutex('m').acquire();
    const client = world.client();
    const session = await client.locks.session({ ttl: '3s' });
    const waiting = outcome(client.locks.mutex('m', { session }).acquire());
    await world.clock.settle();
    world.store.expireLease(session.leaseId);
    await holder.release();
    await world.clock.settle();
    await world.clock.advance(1_500);
    expect(waiting.value).toBeUndefined();
    expect(waiting.error).toMatchObject({ code: 'lease-expired' });
    expect(world.store.keys()).toEqual([]);
  });

  it('P6 stands in the queue again when its key was deleted while it waited with a shared session', async () => {
    const world = new FakeWorld();
    const holder = await world.client().locks.mutex('m').acquire();
    const waiting = outcome(world.client().locks.mutex('m').acquire());
    await world.clock.settle();
    const [own] = world.store.keys().filter((key) => key !== holder.key);
    world.store.deleteKey(own ?? '');
    await world.clock.advance(1_000);
    expect(world.store.keys()).toHaveLength(2);
    await holder.release();
    await world.clock.settle();
    expect(waiting.value?.isHeld()).toBe(true);
  });
});

describe('mutex: acquire and release', () => {
  const lockPut = (request: unknown): boolean =>
    JSON.stringify(request, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v)).includes(
      'request_put',
    );

  it('P11 finds its own key when the answer to the acquiring transaction was lost', async () => {
    const world = new FakeWorld();
    world.store.dropAnswers('txn', 1, lockPut);
    const acquiring = outcome(world.client().locks.mutex('m').acquire());
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
    const acquiring = outcome(client.locks.mutex('m').acquire({ wait: '2s' }));
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
    const release = outcome(handle.release());
    await world.clock.advance(2_000);
    expect(release).toMatchObject({ settled: true });
    expect(release.error).toBeUndefined();
    expect(world.store.keys()).toEqual([]);
  });

  it("P12 never hides the error of the caller's function behind a failing release", async () => {
    const world = new FakeWorld();
    const result = outcome(
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
    const second = outcome(world.client().locks.mutex('m').acquire());
    await world.clock.settle();
    const watchedBefore = world.store.watchers.length;
    const third = outcome(world.client().locks.mutex('m').acquire());
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
    const second = outcome(world.client().locks.mutex('m').acquire());
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
    const second = outcome(client.locks.mutex('m').acquire());
    const third = outcome(client.locks.mutex('m').acquire());
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
    const second = outcome(world.client().locks.mutex('m').acquire({ signal: stop.signal }));
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
    const acquiring = outcome(client.locks.mutex('m').acquire({ signal: stop.signal }));
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
    const acquiring = outcome(client.locks.mutex('m').acquire({ signal: stop.signal }));
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
      const acquiring = outcome(world.client().locks.mutex('m').acquire({ signal: stop.signal }));
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
      const acquiring = outcome(client.locks.mutex('m').acquire());
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
    const waiting = outcome(client.locks.mutex('b').acquire());
    const local = outcome(client.locks.mutex('a').acquire());
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
    const result = outcome(
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
