import { describe, expect, it } from 'vitest';
import { FakeWorld } from '../testing/fake-client.js';
import { loseEvents } from '../testing/lost-events.js';
import { type StateView } from './state.js';

const text = { decode: (bytes: Uint8Array) => Buffer.from(bytes).toString() };
const show = (view: StateView<string>): string =>
  `${view.cause} ${view.freshness.kind} ${[...view.entries.values()].map((e) => `${e.key}=${e.value}`).join(' ')} (${[...view.changed].join(' ')})`;

function start(world: FakeWorld, resyncEvery: '0s' | '1m' = '1m'): string[] {
  const seen: string[] = [];
  world
    .client()
    .watch.state('s/', { codec: text, resyncEvery })
    .subscribe((view) => seen.push(show(view)));
  return seen;
}

describe('the audit of a range', () => {
  it('finds changes that a server did not tell, tells the difference and warns', async () => {
    const world = new FakeWorld();
    const lost = new Set<string>();
    loseEvents(world.store, lost);
    world.store.putKey('s/a', '1');
    world.store.putKey('s/b', '1');
    const seen = start(world);
    await world.clock.settle();
    for (const key of ['s/a', 's/b', 's/c']) lost.add(key);
    world.store.putKey('s/a', '2');
    world.store.deleteKey('s/b');
    world.store.putKey('s/c', '1');
    world.store.putKey('s/d', '1');
    await world.clock.advance(59_999);
    expect(seen).toEqual(['initial live s/a=1 s/b=1 (s/a s/b)', 'change live s/a=1 s/b=1 s/d=1 (s/d)']);
    expect(world.warnings).toEqual([]);
    await world.clock.advance(1);
    expect(seen.slice(2)).toEqual([
      'change stale s/a=1 s/b=1 s/d=1 ()',
      'resync live s/a=2 s/c=1 s/d=1 (s/b s/a s/c)',
    ]);
    expect(world.warnings).toMatchObject([{ code: 'watch-lost-change', range: 's/', keys: 3 }]);
    lost.clear();
    world.store.putKey('s/e', '1');
    await world.clock.advance(300_000);
    expect(seen.at(-1)).toBe('change live s/a=2 s/c=1 s/d=1 s/e=1 (s/e)');
    expect(world.warnings).toHaveLength(1);
  });

  it('says nothing of changes that are on their way, or arrive while the list is read', async () => {
    const world = new FakeWorld();
    world.store.putKey('s/a', '1');
    const seen = start(world);
    await world.clock.settle();
    const answer = world.store.holdAnswer('range');
    await world.clock.advance(60_000);
    world.store.putKey('s/a', '2');
    world.store.putKey('s/b', '1');
    world.store.deleteKey('s/a');
    await world.clock.settle();
    answer();
    await world.clock.advance(120_000);
    expect(seen.at(-1)).toBe('change live s/b=1 (s/a)');
    expect(seen.some((view) => view.startsWith('resync'))).toBe(false);
    expect(world.warnings).toEqual([]);
  });

  it('reads the newest revision when that of a quiet watch was compacted away', async () => {
    const world = new FakeWorld();
    const lost = new Set<string>();
    loseEvents(world.store, lost);
    world.store.putKey('s/a', '1');
    const seen = start(world);
    await world.clock.settle();
    for (let n = 0; n < 5; n += 1) world.store.putKey('other', String(n));
    world.store.compactTo(world.store.revision);
    await world.clock.advance(60_000);
    expect(seen).toHaveLength(1);
    lost.add('s/a');
    world.store.putKey('s/a', '2');
    world.store.putKey('other', 'x');
    world.store.compactTo(world.store.revision);
    await world.clock.advance(60_000);
    expect(seen.at(-1)).toBe('resync live s/a=2 (s/a)');
    // It may have been on its way.
    expect(world.warnings).toEqual([]);
  });

  it('is spread by a tenth, can be switched off, and leaves no timer', async () => {
    const world = new FakeWorld();
    start(world, '0s');
    await world.clock.advance(3_600_000);
    expect(world.store.calls.filter((method) => method === 'range')).toHaveLength(1);
    expect(world.clock.timers).toBe(0);
  });
});
