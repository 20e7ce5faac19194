import { describe, expect, it } from 'vitest';
import { FakeWorld } from '../testing/fake-client.js';
import { outcomeOf } from '../testing/outcome.js';

describe('stopAcquiring', () => {
  it('ends every wait and refuses new ones, and what is held stays held', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const held = await client.locks.mutex('mine').acquire();
    const foreign = await world.client().locks.mutex('theirs').acquire();
    const leader = await world.client().elections.election('e').campaign();
    const waiting = [
      client.locks.mutex('theirs').acquire(),
      client.locks.mutex('mine').acquire(), // in the queue of the process
      client.elections.election('e').campaign(),
      client.locks.rwlock('rw').read.acquire(),
    ].map(outcomeOf<unknown>);
    await world.clock.settle();
    expect(waiting.map(({ settled }) => settled)).toEqual([false, false, false, true]);
    client.stopAcquiring();
    await world.clock.settle();
    for (const outcome of waiting.slice(0, 3)) expect(outcome.error).toMatchObject({ code: 'closed' });
    for (const again of [client.locks.mutex('free').acquire(), client.locks.mutex('free').tryAcquire()])
      await expect(again).rejects.toMatchObject({ code: 'closed' });
    await world.clock.advance(60_000);
    expect([held.isHeld(), foreign.isHeld(), leader.isHeld()]).toEqual([true, true, true]);
    await held.guardTxn((txn) => txn);
    await held.release();
    await client.close();
  });

  it('ends participations: of candidates at once, of a leader after its leadership', async () => {
    const world = new FakeWorld();
    const [a, b] = [world.client(), world.client()];
    const told: string[] = [];
    const take = (name: string, client: typeof a): void =>
      void client.elections
        .election('e')
        .participate()
        .subscribe({
          next: ({ role }) => told.push(`${name} ${role}`),
          complete: () => told.push(`${name} is over`),
        });
    take('a', a);
    await world.clock.settle();
    take('b', b);
    await world.clock.settle();
    told.length = 0;
    a.stopAcquiring();
    b.stopAcquiring();
    await world.clock.advance(10_000);
    expect(told).toEqual(['b is over']);
    const [key] = world.store.keys();
    world.store.deleteKey(key ?? '');
    await world.clock.advance(10_000);
    expect(told).toEqual(['b is over', 'a follower', 'a is over']);
    expect(world.store.keys()).toEqual([]);
  });
});
