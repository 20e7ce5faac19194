import { describe, expect, it } from 'vitest';
import { LockLostError } from '../errors.js';
import { FakeWorld } from '../testing/fake-client.js';
import { outcomeOf } from '../testing/outcome.js';
import { type LockHandle } from './mutex.js';

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
    const result = outcomeOf(
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

  it('P2 a grant that arrives after a stall longer than the TTL is no grant', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const session = await client.locks.session({ ttl: '3s' });
    const answer = world.store.holdAnswer('txn');
    const acquiring = outcomeOf(client.locks.mutex('m', { session }).acquire());
    await world.clock.settle();
    world.clock.stall(10_000);
    answer();
    await world.clock.settle();
    expect(acquiring.value).toBeUndefined();
    expect(acquiring.error).toMatchObject({ code: 'lease-expired', lossReason: 'lease-expired-local' });
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
    const waiting = outcomeOf(client.locks.mutex('m', { session }).acquire());
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
    const waiting = outcomeOf(world.client().locks.mutex('m').acquire());
    await world.clock.settle();
    const [own] = world.store.keys().filter((key) => key !== holder.key);
    world.store.deleteKey(own ?? '');
    await world.clock.advance(1_000);
    expect(world.store.keys()).toHaveLength(2);
    await holder.release();
    await world.clock.settle();
    expect(waiting.value?.isHeld()).toBe(true);
  });

  it('P10 waits for the deletion of the key and for no time: a new leader of the store may renew every lease', async () => {
    const world = new FakeWorld();
    // A holder that is gone: nobody renews its lease, except for the new leader of the store, once and fully.
    const { ID: lease } = await world.store.leaseGrant({ TTL: 9n, ID: 0n });
    world.store.putKey(`locks/m/${lease.toString(16)}`, '', lease);
    const waiting = outcomeOf(world.client().locks.mutex('m').acquire());
    await world.clock.advance(8_500);
    world.store.renew(lease);
    await world.clock.advance(8_999);
    expect(waiting.settled).toBe(false);
    await world.clock.advance(1);
    expect(waiting.value?.isHeld()).toBe(true);
  });

  it('P17 runs nothing while the store cannot be reached: it fails closed', async () => {
    const world = new FakeWorld();
    const client = world.client();
    let ran = false;
    const fn = (): Promise<void> => {
      ran = true;
      return Promise.resolve();
    };
    world.store.partition();
    const run = outcomeOf(client.locks.mutex('m').run(fn, { wait: '20s' }));
    const tried = outcomeOf(client.locks.mutex('n').tryAcquire());
    await world.clock.advance(20_000);
    expect(run.error).toMatchObject({ code: 'lock-timeout' });
    expect(tried.error).toMatchObject({ code: 'timeout' });
    expect(ran).toBe(false);
  });

  it('P18 stands in the queue with a key of its own lease, made of keys and leases and nothing else', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const handle = await client.locks.mutex('m').acquire();
    const leadership = await client.elections.election('e').campaign();
    for (const held of [handle, leadership]) {
      expect((await client.kv.get(held.key))?.lease).toBe(held.leaseId);
      expect(world.store.liveLeases).toContain(held.leaseId);
    }
    expect(new Set(world.store.calls)).toEqual(new Set(['leaseGrant', 'txn', 'range']));
  });
});
