import { describe, expect, it } from 'vitest';
import { FakeWorld } from '../testing/fake-client.js';
import { type LeaseState } from './lease.js';

describe('lease', () => {
  it('keeps itself alive with one request every third of the TTL', async () => {
    const world = new FakeWorld();
    const lease = await world.client().leases.grant({ ttl: '9s' });
    await world.clock.advance(60_000);
    expect(lease.isAlive()).toBe(true);
    expect(world.store.liveLeases).toEqual([lease.id]);
  });

  it('uses the TTL that the server granted, not the one that was asked for', async () => {
    const world = new FakeWorld();
    const lease = await world.client().leases.grant({ ttl: 2_100, margin: '500ms' });
    expect(lease.ttlMs).toBe(3_000);
    expect(lease.remainingMs()).toBe(2_500);
  });

  it('P1 counts from the sending of the grant, not from the arrival of its answer', async () => {
    const world = new FakeWorld();
    const answer = world.store.holdAnswer('leaseGrant');
    const granting = world.client().leases.grant({ ttl: '10s', margin: '1s' });
    await world.clock.advance(4_000);
    answer();
    expect((await granting).remainingMs()).toBe(5_000);
  });

  it('P1 is lost from the start when the answer to the grant came too late', async () => {
    const world = new FakeWorld();
    const answer = world.store.holdAnswer('leaseGrant');
    const granting = world.client().leases.grant({ ttl: '10s', margin: '1s' });
    await world.clock.advance(9_000);
    answer();
    expect((await granting).isAlive()).toBe(false);
  });

  it('is suspect after one missed answer, alive again after the next, lost at the deadline', async () => {
    const world = new FakeWorld();
    const lease = await world.client().leases.grant({ ttl: '9s', margin: '1s' });
    const states: LeaseState[] = [];
    lease.state$.subscribe((state) => states.push(state));
    await world.clock.advance(3_000);
    world.store.partition();
    await world.clock.advance(6_000); // the request at 6 s has no answer at 9 s
    expect(states.at(-1)).toEqual({ kind: 'suspect', deadline: 11_000 });
    world.store.heal();
    await world.clock.advance(1_500);
    expect(states.at(-1)).toMatchObject({ kind: 'alive' });
    world.store.partition();
    await world.clock.advance(9_000);
    expect(states.at(-1)).toEqual({ kind: 'lost', reason: 'lease-expired-local' });
    expect(lease.signal.reason).toMatchObject({ code: 'lease-expired' });
  });

  it('P1 counts each keep-alive from its sending, however late its answer arrives', async () => {
    const world = new FakeWorld();
    const lease = await world.client().leases.grant({ ttl: '9s', margin: '1s' });
    await world.clock.advance(3_000); // answered at once
    const arrive = world.store.holdKeepAlives();
    await world.clock.advance(5_500); // sent at 6 s, now it is 8.5 s
    expect(lease.remainingMs()).toBe(2_500);
    arrive();
    expect(lease.remainingMs()).toBe(5_500);
  });

  it('P2 is not brought back by an answer that arrives after its deadline, before the timer has fired', async () => {
    const world = new FakeWorld();
    const lease = await world.client().leases.grant({ ttl: '9s', margin: '1s' });
    await world.clock.advance(3_000);
    const arrive = world.store.holdKeepAlives();
    await world.clock.advance(3_000); // sent at 6 s; the term ends at 11 s
    world.clock.stall(6_000);
    arrive();
    expect(lease.signal.aborted).toBe(true);
    expect(lease.lossReason).toBe('lease-expired-local');
    expect(lease.remainingMs()).toBe(0);
  });

  it('P28 leaves a stream that gives no answer, although it is open, for another one', async () => {
    const world = new FakeWorld();
    const lease = await world.client().leases.grant({ ttl: '9s', margin: '1s' });
    await world.clock.advance(3_000);
    world.store.holdKeepAlives();
    await world.clock.advance(6_000); // silent at 6 s, another stream at 9 s
    expect(lease.remainingMs()).toBe(8_000);
  });

  it('P3 takes the stricter of two clocks', async () => {
    const world = new FakeWorld();
    const lease = await world.client().leases.grant({ ttl: '10s', margin: '1s' });
    world.clock.jumpWall(4_000);
    expect(lease.remainingMs()).toBe(5_000);
    world.clock.jumpWall(-8_000);
    expect(lease.remainingMs()).toBe(9_000);
    world.clock.jumpWall(4_000 + 9_000);
    expect(lease.remainingMs()).toBe(0);
    expect(lease.lossReason).toBe('clock-jump');
  });

  it('P3 notices the jump with the next keep-alive, although nobody asks', async () => {
    const world = new FakeWorld();
    const lease = await world.client().leases.grant({ ttl: '9s' });
    world.clock.jumpWall(60_000);
    await world.clock.advance(3_000);
    expect(lease.signal.aborted).toBe(true);
  });

  it('is lost as revoked when the server no longer knows it', async () => {
    const world = new FakeWorld();
    const lease = await world.client().leases.grant({ ttl: '9s' });
    world.store.expireLease(lease.id);
    await world.clock.advance(3_000);
    expect(lease.lossReason).toBe('revoked');
  });

  it('opens another stream soon after one was lost', async () => {
    const world = new FakeWorld();
    const lease = await world.client().leases.grant({ ttl: '9s', margin: '1s' });
    await world.clock.advance(3_000);
    world.store.cutStreams();
    await world.clock.advance(500);
    expect(lease.remainingMs()).toBe(8_000);
  });

  it('is revoked once, and needs no timer afterwards', async () => {
    const world = new FakeWorld();
    {
      await using lease = await world.client().leases.grant({ ttl: '9s' });
      await lease.revoke();
    }
    expect(world.store.liveLeases).toEqual([]);
    expect(world.store.calls.filter((method) => method === 'leaseRevoke')).toHaveLength(1);
    expect(world.clock.timers).toBe(0);
  });

  it('leaves no timer behind when the store is replaced', async () => {
    const world = new FakeWorld();
    const lease = await world.client().leases.grant({ ttl: '9s' });
    world.store.replaceStore();
    expect(lease.lossReason).toBe('store-replaced');
    expect(world.clock.timers).toBe(0);
  });

  it('refuses times that leave nothing to believe in', async () => {
    const { leases } = new FakeWorld().client();
    await expect(leases.grant({ ttl: '1s' })).rejects.toMatchObject({ code: 'invalid-argument' });
    await expect(leases.grant({ ttl: '4s', margin: '2s' })).rejects.toMatchObject({
      code: 'invalid-argument',
    });
  });
});
