import { type AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it } from 'vitest';
import { DeadlockError } from '../errors.js';
import { FakeWorld } from '../testing/fake-client.js';
import { outcomeOf } from '../testing/outcome.js';
import { runHolding } from './held-chain.js';
import { currentLock } from './mutex.js';

describe('what a chain of calls holds', () => {
  it('P16 refuses to wait for a lock that the same chain of calls holds', async () => {
    const world = new FakeWorld();
    const mutex = world.client().locks.mutex('m');
    const inner = async (): Promise<void> => {
      await world.clock.settle();
      await mutex.run(() => Promise.resolve());
    };
    await expect(mutex.run(inner)).rejects.toBeInstanceOf(DeadlockError);
    expect(world.store.keys()).toEqual([]);
  });

  it('P16 refuses it with another session and with another client of the same cluster', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const session = await client.locks.session();
    const inners = [client.locks.mutex('m', { session }), world.client().locks.mutex('m')];
    for (const inner of inners) {
      const error = await client.locks.mutex('m').run(() => inner.acquire().catch((e: unknown) => e));
      expect(error).toMatchObject({ code: 'deadlock' });
      await world.clock.settle();
      expect(world.store.keys()).toEqual([]);
    }
  });

  it('P16 takes no other cluster, other lock or other chain for the same', async () => {
    const world = new FakeWorld();
    const elsewhere = new FakeWorld();
    elsewhere.store.replaceStore();
    const client = world.client();
    const theirs = await elsewhere.client().locks.mutex('m').acquire();
    await client.locks.mutex('m').run(async () => {
      const different = await client.locks.mutex('n').acquire();
      expect(different.isHeld()).toBe(true);
      // A lock of the same name in another cluster, held by somebody: it is waited for.
      const other = outcomeOf(elsewhere.client().locks.mutex('m').acquire());
      await elsewhere.clock.settle();
      expect(other).toEqual({ settled: false });
      await theirs.release();
      await elsewhere.clock.settle();
      expect(other.value?.isHeld()).toBe(true);
    });
    const holder = await client.locks.mutex('m').acquire();
    const beside = outcomeOf(client.locks.mutex('m').acquire());
    await world.clock.settle();
    expect(beside.settled).toBe(false);
    await holder.release();
    await world.clock.settle();
    expect(beside.value?.isHeld()).toBe(true);
  });

  it('P16 waits with `reentry: wait`, and asks tryAcquire for nothing more than an answer', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const waiting = client.locks.mutex('m', { reentry: 'wait' });
    const result = await client.locks
      .mutex('m')
      .run(async (handle) => {
        expect(await client.locks.mutex('m').tryAcquire()).toBeNull();
        const acquiring = outcomeOf(waiting.acquire());
        await world.clock.settle();
        expect(acquiring.settled).toBe(false);
        await handle.release();
        await world.clock.settle();
        return acquiring;
      })
      .catch((error: unknown) => error);
    // The lock was given back inside, so the outer run reports it; the inner one has it.
    expect(result).toMatchObject({ code: 'not-held' });
    expect(await world.client().locks.mutex('m').tryAcquire()).toBeNull();
  });

  it('P16 a chain that lost the lock may ask for it again', async () => {
    const world = new FakeWorld();
    const mutex = world.client().locks.mutex('m');
    let again = false;
    const result = outcomeOf(
      mutex.run(async (handle) => {
        world.store.deleteKey(handle.key);
        await new Promise((resolve) => handle.signal.addEventListener('abort', resolve));
        const next = await mutex.acquire();
        again = next.isHeld();
      }),
    );
    await world.clock.advance(100);
    await world.clock.settle();
    expect(again).toBe(true);
    expect(result.error).toMatchObject({ code: 'lock-lost' });
  });

  it('finds the current lock, the innermost one or by name, and none outside', async () => {
    const client = new FakeWorld().client();
    await client.locks.mutex('a').run(async (a) => {
      await client.locks.mutex('b').run((b) => {
        expect(currentLock()).toBe(b);
        expect(currentLock('a')).toBe(a);
        expect(currentLock('c')).toBeUndefined();
        return Promise.resolve();
      });
      expect(currentLock()).toBe(a);
    });
    expect(currentLock()).toBeUndefined();
  });

  it('is found by another copy of the package, which has no part of this one but the symbol', () => {
    const known = globalThis as unknown as Record<symbol, AsyncLocalStorage<{ name: string }>>;
    const link = {
      type: 'lock',
      name: 'x',
      prefix: 'p',
      clusterId: 1n,
      owner: {},
      held: { isHeld: () => true },
    } as const;
    const seen = runHolding(link, () => known[Symbol.for('@conclave/client/held-chain')]?.getStore()?.name);
    expect(seen).toBe('x');
  });
});
