import { firstValueFrom, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { LockLostError, LockTimeoutError } from '../errors.js';
import { compare, op } from '../kv/operations.js';
import { FakeWorld } from '../testing/fake-client.js';
import { outcomeOf } from '../testing/outcome.js';

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
    const waiting = outcomeOf(world.client().locks.mutex('m').acquire({ wait: '3s' }));
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
    await world.clock.advance(100);
    const told = firstValueFrom(handle.validity$.pipe(toArray()));
    world.store.deleteKey(handle.key);
    await world.clock.settle();
    expect(handle.isHeld()).toBe(false);
    expect(handle.signal.reason).toMatchObject({ code: 'lock-lost', lossReason: 'key-deleted' });
    expect((await told).map((validity) => validity.kind)).toEqual(['held', 'lost']);
    expect(() => handle.assertHeld()).toThrow(LockLostError);
  });

  it('opens no watch for a short hold, and misses no deletion from before its watch', async () => {
    const world = new FakeWorld();
    const mutex = world.client().locks.mutex('m');
    const short = await mutex.acquire();
    await world.clock.advance(49);
    await short.release();
    expect(world.store.watchers).toEqual([]);
    const handle = await mutex.acquire();
    world.store.deleteKey(handle.key);
    await world.clock.advance(49);
    expect(handle.isHeld()).toBe(true);
    await world.clock.advance(1);
    expect(handle.signal.reason).toMatchObject({ code: 'lock-lost', lossReason: 'key-deleted' });
  });

  it('is lost when another store answers', async () => {
    const world = new FakeWorld();
    const handle = await world.client().locks.mutex('m').acquire();
    world.store.replaceStore();
    await world.clock.settle();
    expect(handle.signal.reason).toMatchObject({ lossReason: 'store-replaced' });
  });
});
