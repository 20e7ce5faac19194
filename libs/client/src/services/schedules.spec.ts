import { describe, expect, it } from 'vitest';
import { FakeWorld } from '../testing/fake-client.js';
import { outcomeOf } from '../testing/outcome.js';

const at = (minute: number): Date => new Date(Date.UTC(2026, 0, 1, 0, minute));

describe('schedules', () => {
  it('gives each due time to exactly one of many, whoever comes first', async () => {
    const world = new FakeWorld();
    const clients = Array.from({ length: 10 }, () => world.client());
    for (const minute of [1, 2]) {
      const claims = await Promise.all(
        clients.map((client) => client.schedules.claim('nightly', at(minute))),
      );
      expect(claims.filter((isMine) => isMine)).toHaveLength(1);
    }
    expect(await clients[0]?.schedules.claim('other', at(1))).toBe(true);
    expect(await clients[0]?.schedules.claim('nightly', at(1))).toBe(false);
  });

  it('leaves one lease per run, which nobody keeps alive, and forgets the run after the TTL', async () => {
    const world = new FakeWorld();
    const clients = [world.client(), world.client()];
    await Promise.all(clients.map((client) => client.schedules.claim('s', at(1), { ttl: '30s' })));
    expect(world.store.liveLeases).toHaveLength(1);
    await world.clock.advance(29_999);
    expect(await clients[1]?.schedules.claim('s', at(1))).toBe(false);
    await world.clock.advance(1);
    expect(world.store.liveLeases).toEqual([]);
    expect(world.store.keys()).toEqual([]);
  });

  it('P11 keeps its claim when the answer to it was lost', async () => {
    const world = new FakeWorld();
    world.store.dropAnswers('txn', 2);
    const claim = outcomeOf(world.client().schedules.claim('s', at(1)));
    await world.clock.advance(1_000);
    expect(claim.value).toBe(true);
    expect(await world.client().schedules.claim('s', at(1))).toBe(false);
  });

  it('P17 fails closed: it rejects when the store does not answer', async () => {
    const world = new FakeWorld();
    world.store.partition();
    const claim = outcomeOf(world.client().schedules.claim('s', at(1)));
    await world.clock.advance(6_000);
    expect(claim.error).toMatchObject({ code: 'timeout' });
  });

  it('refuses what can be no schedule', async () => {
    const { schedules } = new FakeWorld().client();
    const wrong = { code: 'invalid-argument' };
    await expect(schedules.claim('', at(1))).rejects.toMatchObject(wrong);
    await expect(schedules.claim('s', new Date(Number.NaN))).rejects.toMatchObject(wrong);
    await expect(schedules.claim('s', at(1), { ttl: '1s' })).rejects.toMatchObject(wrong);
  });
});
