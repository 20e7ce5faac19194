import { describe, expect, it } from 'vitest';
import { UnauthorizedError } from '../errors.js';
import { FakeWorld } from '../testing/fake-client.js';

const number = {
  decode: (bytes: Uint8Array): number => {
    const value = Number(Buffer.from(bytes).toString());
    if (Number.isNaN(value)) throw new Error('not a number');
    return value;
  },
};

describe('the value of a plain key', () => {
  it('P32 replays, is the default while the key is missing, keeps the last good one, and tells each difference once', async () => {
    const world = new FakeWorld();
    const client = world.client('app/');
    const value$ = client.config.value$('n', { codec: number, default: 7 });
    const seen: number[] = [];
    value$.subscribe((value) => seen.push(value));
    await world.clock.settle();
    for (const text of ['1', '1', 'broken', '2']) {
      world.store.putKey('app/n', text);
      await world.clock.settle();
    }
    world.store.deleteKey('app/n');
    await world.clock.settle();
    expect(seen).toEqual([7, 1, 2, 7]);
    const late: number[] = [];
    value$.subscribe((value) => late.push(value));
    expect(late).toEqual([7]);
    expect(world.store.watchers).toHaveLength(1);
  });

  it('is the default when the store does not answer, and never errors', async () => {
    const world = new FakeWorld();
    world.store.partition();
    const seen: string[] = [];
    const errors: unknown[] = [];
    world
      .client()
      .config.value$('n', { default: 'none' })
      .subscribe({ next: (value) => seen.push(value), error: (error) => errors.push(error) });
    await world.clock.advance(5_000);
    expect(seen).toEqual(['none']);
    world.store.putKey('n', 'there');
    world.store.heal();
    await world.clock.advance(5_000);
    world.store.cutStreams(new UnauthorizedError('no'));
    expect(seen).toEqual(['none', 'there']);
    expect(errors).toEqual([]);
  });

  it('P33 stops watching a while after the last subscriber has left', async () => {
    const world = new FakeWorld();
    const value$ = world.client().config.value$('n', { default: '' });
    const first = value$.subscribe();
    await world.clock.settle();
    first.unsubscribe();
    await world.clock.advance(4_999);
    expect(world.store.watchers).toHaveLength(1);
    await world.clock.advance(1);
    expect(world.store.watchers).toEqual([]);
    expect(world.clock.timers).toBe(0);
  });
});
