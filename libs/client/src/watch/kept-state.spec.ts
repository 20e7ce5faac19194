import { describe, expect, it } from 'vitest';
import { MemoryCache } from '../config/testing/fake-center.js';
import { FakeWorld } from '../testing/fake-client.js';
import { type StateView } from './state.js';

const text = { decode: (bytes: Uint8Array) => Buffer.from(bytes).toString() };
const show = (view: StateView<string>): string =>
  `${view.cause} ${view.freshness.kind} ${[...view.entries.values()].map((e) => `${e.key}=${e.value}`).join(' ')} (${[...view.changed].join(' ')})`;

/** One life of a process: what it was shown, and its end. */
function watch(world: FakeWorld, cache: MemoryCache) {
  const seen: string[] = [];
  const subscription = world
    .client('p/')
    .watch.state('s/', { codec: text, cache, keepWarm: 0 })
    .subscribe((view) => seen.push(show(view)));
  return {
    seen,
    end: async () => {
      subscription.unsubscribe();
      await world.clock.advance(0);
    },
  };
}

async function savedWorld(): Promise<{ world: FakeWorld; cache: MemoryCache }> {
  const world = new FakeWorld();
  const cache = new MemoryCache();
  world.store.putKey('p/s/a', '1');
  world.store.putKey('p/s/b', '1');
  const life = watch(world, cache);
  await world.clock.advance(1_000);
  await life.end();
  return { world, cache };
}

describe('a state with a cache', () => {
  it('P26 shows what was seen last until the store answers, then only what differs from it', async () => {
    const { world, cache } = await savedWorld();
    expect([...cache.states.keys()]).toEqual(['state/p/s/*']);
    world.store.partition();
    world.store.deleteKey('p/s/a');
    world.store.putKey('p/s/c', '1');
    const { seen } = watch(world, cache);
    await world.clock.advance(10_000);
    expect(seen).toEqual(['initial cached s/a=1 s/b=1 (s/a s/b)']);
    world.store.heal();
    await world.clock.advance(10_000);
    expect(seen.slice(1)).toEqual(['initial live s/b=1 s/c=1 (s/a s/c)']);
    expect(cache.states.get('state/p/s/*')?.entries.map(({ key }) => key)).toEqual(['s/b', 's/c']);
  });

  it('P26 never shows the cache after anything live, however late it is read', async () => {
    const { world, cache } = await savedWorld();
    world.store.putKey('p/s/a', '2');
    let give: () => void = () => undefined;
    const late = new MemoryCache();
    late.load = (id) => new Promise((resolve) => (give = () => resolve(cache.states.get(id.join('/')))));
    const { seen } = watch(world, late);
    await world.clock.settle();
    give();
    await world.clock.settle();
    expect(seen).toEqual(['initial live s/a=2 s/b=1 (s/a s/b)']);
  });

  it('P26 tells the step to another store, and refuses its cache once the cluster is known', async () => {
    const { world, cache } = await savedWorld();
    world.store.replaceStore();
    world.store.putKey('p/s/a', '1');
    const client = world.client('p/');
    const first: string[] = [];
    client.watch.state('s/', { codec: text, cache }).subscribe((view) => first.push(show(view)));
    await world.clock.settle();
    expect(first.at(-1)).toBe('store-replaced live s/a=1 (s/b s/a)');
    const other = new MemoryCache();
    const foreign = { clusterId: 0x9999n, revision: 5n, savedAt: 1, entries: [] };
    other.states.set('state/p/t/*', foreign);
    world.store.partition();
    const second: string[] = [];
    client.watch.state('t/', { codec: text, cache: other }).subscribe((view) => second.push(show(view)));
    await world.clock.settle();
    expect(second).toEqual([]);
    expect(world.warnings).toMatchObject([{ code: 'cache-unusable' }]);
  });

  it('saves soon at first and every five seconds at most, and what is due at the end', async () => {
    const world = new FakeWorld();
    const cache = new MemoryCache();
    const saved: bigint[] = [];
    const { save } = cache;
    cache.save = (id, state) => {
      saved.push(state.revision);
      return save.call(cache, id, state);
    };
    const life = watch(world, cache);
    await world.clock.advance(200);
    expect(saved).toEqual([1n]);
    for (let n = 0; n < 60; n += 1) {
      world.store.putKey('p/s/a', String(n));
      await world.clock.advance(100);
    }
    expect(saved).toHaveLength(2);
    await life.end();
    expect(saved).toHaveLength(3);
    expect(cache.states.get('state/p/s/*')).toMatchObject({ revision: 61n, clusterId: 0x1001n });
    expect(world.clock.timers).toBe(0);
  });

  it('keeps the last good version of a value that the codec refuses, in the cache too', async () => {
    const world = new FakeWorld();
    const cache = new MemoryCache();
    const codec = { decode: (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()) as unknown };
    world.store.putKey('s/a', '{"v":1}');
    const subscription = world.client().watch.state('s/', { codec, cache, keepWarm: 0 }).subscribe();
    await world.clock.advance(300);
    world.store.putKey('s/a', '{broken');
    await world.clock.advance(6_000);
    subscription.unsubscribe();
    await world.clock.advance(0);
    const [entry] = cache.states.get('state/s/*')?.entries ?? [];
    expect(Buffer.from(entry?.value ?? []).toString()).toBe('{"v":1}');
  });

  it('shows what an operator pinned instead, and goes back when it is gone', async () => {
    const { world, cache } = await savedWorld();
    cache.pinnedState = { source: 'pinned.json', entries: new Map([['s/a', 'by hand']]) };
    const { seen } = watch(world, cache);
    await world.clock.settle();
    world.store.putKey('p/s/b', '2');
    await world.clock.settle();
    expect(seen).toEqual(['initial pinned s/a=by hand (s/a)']);
    cache.pinnedState = undefined;
    await world.clock.advance(5_000);
    expect(seen.slice(1)).toEqual(['change live s/a=1 s/b=2 (s/a s/b)']);
  });

  it('goes on without a cache that fails, and warns', async () => {
    const world = new FakeWorld();
    const broken = new MemoryCache();
    broken.load = () => Promise.reject(new Error('the disk is gone'));
    broken.save = () => Promise.reject(new Error('the disk is gone'));
    world.store.putKey('p/s/a', '1');
    const { seen } = watch(world, broken);
    await world.clock.advance(1_000);
    expect(seen).toEqual(['initial live s/a=1 (s/a)']);
    expect(world.warnings.map(({ code }) => code)).toEqual(['cache-unusable', 'cache-not-written']);
  });
});
