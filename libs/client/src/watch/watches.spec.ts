import { describe, expect, it } from 'vitest';
import { FakeWorld } from '../testing/fake-client.js';
import { type RevisionBatch } from './revision-batch.js';
import { type StateView } from './state.js';

const tell = (batch: RevisionBatch): string =>
  `${batch.revision} ${batch.cause}: ${batch.changes.map((c) => (c.type === 'put' ? `+${c.key}` : `-${c.key}`)).join(' ')}`;

describe('watches on a store', () => {
  it('P27 leads over a compaction by a list, with the deletes that happened unseen', async () => {
    const world = new FakeWorld();
    world.store.putKey('p/k/old', '1');
    world.store.putKey('p/k/kept', '1');
    const seen: string[] = [];
    const watching = world
      .client('p/')
      .watch.events('k/', { prefix: true })
      .subscribe((batch) => seen.push(tell(batch)));
    await world.clock.settle();
    world.store.putKey('p/k/new', '1');
    await world.clock.settle();
    world.store.partition();
    world.store.deleteKey('p/k/old');
    world.store.deleteKey('p/k/new');
    world.store.putKey('p/k/other', '1');
    world.store.compactTo(world.store.revision);
    world.store.putKey('p/k/kept', '2');
    world.store.heal();
    await world.clock.advance(1_000);
    world.store.deleteKey('p/k/kept');
    await world.clock.settle();
    expect(seen).toEqual([
      '4 change: +k/new',
      '8 resync: -k/old -k/new +k/kept +k/other',
      '9 change: -k/kept',
    ]);
    watching.unsubscribe();
    expect(world.store.watchers).toEqual([]);
    expect(world.clock.timers).toBe(0);
  });

  it('P24 resumes after each lost stream without a gap or a duplicate', async () => {
    const world = new FakeWorld();
    const revisions: bigint[] = [];
    world
      .client()
      .watch.events('k')
      .subscribe((batch) => revisions.push(batch.revision));
    await world.clock.settle();
    for (let i = 0; i < 50; i += 1) {
      world.store.putKey('k', String(i));
      if (i % 7 === 3) await world.clock.settle();
      if (i % 11 === 5) world.store.cutStreams();
      if (i % 13 === 2) await world.clock.advance(700);
    }
    await world.clock.advance(5_000);
    expect(revisions).toEqual(Array.from({ length: 50 }, (_, i) => BigInt(i + 2)));
  });

  it('P25 moves the resume point with progress reports, so that a quiet watch survives a compaction', async () => {
    const world = new FakeWorld();
    const seen: string[] = [];
    world
      .client()
      .watch.events('k')
      .subscribe((batch) => seen.push(tell(batch)));
    await world.clock.settle();
    for (let i = 0; i < 5; i += 1) world.store.putKey('other', String(i));
    await world.clock.settle();
    world.store.sendProgress();
    world.store.compactTo(world.store.revision);
    world.store.cutStreams();
    await world.clock.advance(1_000);
    world.store.putKey('k', '1');
    await world.clock.settle();
    expect(seen).toEqual(['7 change: +k']);
  });

  it('completes when its signal aborts, and watches no more', async () => {
    const world = new FakeWorld();
    const stop = new AbortController();
    let completed = false;
    world
      .client()
      .watch.events('k', { signal: stop.signal })
      .subscribe({ complete: () => (completed = true) });
    await world.clock.settle();
    expect(world.store.watchers).toHaveLength(1);
    stop.abort();
    expect(completed).toBe(true);
    expect(world.store.watchers).toEqual([]);
  });

  it('lists long ranges page by page at one revision', async () => {
    const world = new FakeWorld();
    for (let i = 0; i < 2_500; i += 1) world.store.putKey(`k${String(i).padStart(4, '0')}`, 'v');
    const seen: RevisionBatch[] = [];
    world
      .client()
      .watch.events('k', { prefix: true, initial: true })
      .subscribe((batch) => seen.push(batch));
    await world.clock.settle();
    expect(seen[0]?.changes).toHaveLength(2_500);
    expect(seen[0]).toMatchObject({ cause: 'initial', complete: true, revision: 2_501n });
    // A thousand first; the rest is small enough for one more answer.
    expect(world.store.calls.filter((method) => method === 'range')).toHaveLength(2);
  });
});

describe('state', () => {
  const text = { decode: (bytes: Uint8Array) => Buffer.from(bytes).toString() };
  const show = (view: StateView<string>): string =>
    `${view.freshness.kind} ${view.revision} ${[...view.entries.values()].map((e) => `${e.key}=${e.value}`).join(' ')} (${[...view.changed].join(' ')})`;

  it('shows everything at one revision, what changed, and whether it is up to date', async () => {
    const world = new FakeWorld();
    world.store.putKey('s/a', '1');
    const seen: string[] = [];
    world
      .client()
      .watch.state('s/', { codec: text })
      .subscribe((view) => seen.push(show(view)));
    await world.clock.settle();
    world.store.putKey('s/b', '2');
    await world.clock.settle();
    world.store.cutStreams();
    world.store.deleteKey('s/a');
    await world.clock.advance(1_000);
    expect(seen).toEqual([
      'live 2 s/a=1 (s/a)',
      'live 3 s/a=1 s/b=2 (s/b)',
      'stale 3 s/a=1 s/b=2 ()',
      'live 3 s/a=1 s/b=2 ()',
      'live 4 s/b=2 (s/a)',
    ]);
  });

  it('P26 P27 leads to the content of a store that was replaced, keys that are gone included', async () => {
    const world = new FakeWorld();
    world.store.putKey('s/a', '1');
    world.store.putKey('s/b', '1');
    const seen: StateView<string>[] = [];
    world
      .client()
      .watch.state('s/', { codec: text })
      .subscribe((view) => seen.push(view));
    await world.clock.settle();
    world.store.replaceStore();
    world.store.putKey('s/b', 'new');
    await world.clock.advance(1_000);
    const last = seen.at(-1);
    expect(last && show(last)).toBe('live 2 s/b=new (s/a s/b)');
    expect(seen.find((view) => view.cause === 'store-replaced')?.changed).toEqual(new Set(['s/a', 's/b']));
  });

  it('keeps the last good version of a value that the codec refuses, and tells about it', async () => {
    const world = new FakeWorld();
    world.store.putKey('s/a', '{"v":1}');
    const invalid: string[] = [];
    const seen: unknown[] = [];
    const codec = { decode: (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()) as unknown };
    world
      .client()
      .watch.state('s/', { codec, onInvalid: (entry) => invalid.push(entry.text) })
      .subscribe((view) => seen.push(view.entries.get('s/a')?.value));
    await world.clock.settle();
    world.store.putKey('s/a', '{broken');
    await world.clock.settle();
    expect(seen.at(-1)).toEqual({ v: 1 });
    expect(invalid).toEqual(['{broken']);
  });

  it('is shared, replays the newest view, and stays warm for a while after the last subscriber', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const state$ = client.watch.state('s/', { codec: text, keepWarm: '5s' });
    const first = state$.subscribe();
    await world.clock.settle();
    const late: string[] = [];
    const second = client.watch
      .state('s/', { codec: text, keepWarm: '5s' })
      .subscribe((view) => late.push(show(view)));
    expect(late).toEqual(['live 1  ()']);
    expect(world.store.watchers).toHaveLength(1);
    first.unsubscribe();
    second.unsubscribe();
    await world.clock.advance(4_999);
    expect(world.store.watchers).toHaveLength(1);
    await world.clock.advance(1);
    expect(world.store.watchers).toEqual([]);
    expect(world.clock.timers).toBe(0);
    state$.subscribe();
    await world.clock.settle();
    expect(world.store.watchers).toHaveLength(1);
  });
});
