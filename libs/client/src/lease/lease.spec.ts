import { describe, expect, it } from 'vitest';
import { FakeWorld } from '../testing/fake-client.js';
import { outcomeOf } from '../testing/outcome.js';
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

  it("P4 bears a clock that runs slower than the server's by the part that the margin is of the TTL", async () => {
    const world = new FakeWorld();
    // Nine tenths of the true rate, and a zero of its own: only durations count.
    const slow = {
      monotonic: () => 4_096 + world.clock.monotonic() * 0.9,
      wall: () => 8_192 + world.clock.monotonic() * 0.9,
      setTimer: (ms: number, callback: () => void) => world.clock.setTimer(ms / 0.9, callback),
    };
    const lease = await world.client('', slow).leases.grant({ ttl: '10s', margin: '1s' });
    world.store.partition();
    await world.clock.advance(9_999);
    expect(lease.signal.aborted).toBe(false);
    expect(world.store.liveLeases).toEqual([lease.id]);
    // The server lets it go at this very moment, and the client by its own clock.
    await world.clock.advance(1);
    expect(world.store.liveLeases).toEqual([]);
    expect(lease.isAlive()).toBe(false);
  });

  it('P4 compares no time of its own with a time of the server', async () => {
    const world = new FakeWorld();
    world.clock.jumpWall(-30 * 365 * 86_400_000);
    const lease = await world.client().leases.grant({ ttl: '10s', margin: '1s' });
    expect(lease.remainingMs()).toBe(9_000);
  });

  it('P7 warns when a keep-alive is sent later than TTL/6, and tells how late', async () => {
    const world = new FakeWorld();
    const lease = await world.client().leases.grant({ ttl: '9s', margin: '1s' });
    await world.clock.advance(2_900);
    world.clock.stall(1_600); // due at 3 s, sent at 4.5 s: exactly TTL/6 late
    await world.clock.advance(0);
    expect(world.warnings).toEqual([]);
    await world.clock.advance(2_900);
    world.clock.stall(1_700);
    await world.clock.advance(0);
    expect(world.warnings).toMatchObject([{ code: 'keepalive-starved', leaseId: lease.id, delayMs: 1_600 }]);
    expect(lease.isAlive()).toBe(true);
  });

  it('P7 warns as well when the stall was so long that the lease is over', async () => {
    const world = new FakeWorld();
    const lease = await world.client().leases.grant({ ttl: '9s', margin: '1s' });
    world.clock.stall(20_000);
    await world.clock.advance(0);
    expect(lease.isAlive()).toBe(false);
    expect(world.warnings).toMatchObject([{ code: 'keepalive-starved', delayMs: 17_000 }]);
  });

  it('P7 has a stream of its own for every lease, so that one cannot hold up another', async () => {
    const world = new FakeWorld();
    const first = await world.client().leases.grant({ ttl: '9s', margin: '1s' });
    await world.clock.advance(3_000);
    world.store.holdKeepAlives();
    const second = await world.client().leases.grant({ ttl: '9s', margin: '1s' });
    await world.clock.advance(3_000);
    expect(second.remainingMs()).toBe(8_000);
    expect(first.remainingMs()).toBe(5_000);
  });

  it('P8 renews nothing while the process stands still: no other thread keeps a dead holder alive', async () => {
    const world = new FakeWorld();
    const holder = await world.client().locks.mutex('m', { ttl: '9s' }).acquire();
    const waiting = world.client().locks.mutex('m').acquire();
    await world.clock.settle();
    const sent = world.store.renewals;
    world.clock.stall(9_000);
    expect(world.store.renewals).toBe(sent);
    world.store.expireLease(holder.leaseId);
    await world.clock.settle();
    expect((await waiting).token).toBeGreaterThan(holder.token);
    expect(holder.isHeld()).toBe(false);
  });

  it('adopts the lease of another life, and keeps it alive from then on', async () => {
    const world = new FakeWorld();
    const { ID } = await world.store.leaseGrant({ TTL: 10n, ID: 0n });
    await world.clock.advance(9_000);
    const lease = await world.client().leases.adopt(ID);
    expect(lease).toMatchObject({ id: ID, ttlMs: 10_000 });
    expect(lease.remainingMs()).toBe(9_000);
    await world.clock.advance(60_000);
    expect(lease.isAlive()).toBe(true);
  });

  it('does not adopt a lease that has ended, and gives up when nobody answers or the caller does', async () => {
    const world = new FakeWorld();
    const { leases } = world.client();
    await expect(leases.adopt(4711n)).rejects.toMatchObject({ code: 'lease-not-found' });
    const { ID } = await world.store.leaseGrant({ TTL: 60n, ID: 0n });
    world.store.partition();
    const stop = new AbortController();
    const adopting = [outcomeOf(leases.adopt(ID)), outcomeOf(leases.adopt(ID, { signal: stop.signal }))];
    await world.clock.settle();
    stop.abort();
    await world.clock.advance(5_000);
    expect(adopting.map((outcome) => outcome.error?.code)).toEqual(['timeout', 'cancelled']);
    const lost = outcomeOf(leases.adopt(ID));
    world.store.cutStreams();
    await world.clock.settle();
    expect(lost.error).toMatchObject({ code: 'unavailable' });
    expect(world.clock.timers).toBe(1); // the lease in the store
  });

  it('P9 refuses a TTL that servers round up and one blocked loop uses up, and a margin without a rest', async () => {
    const { leases } = new FakeWorld().client();
    await expect(leases.grant({ ttl: '1s' })).rejects.toMatchObject({ code: 'invalid-argument' });
    await expect(leases.grant({ ttl: '4s', margin: '2s' })).rejects.toMatchObject({
      code: 'invalid-argument',
    });
  });
});
