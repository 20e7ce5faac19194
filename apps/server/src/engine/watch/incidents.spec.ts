import { mvccpb } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { WatchBench } from './testing/watch-bench.js';
import { type WatchClient } from './testing/watch-client.js';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

function revisions(client: WatchClient, id = 0n): number[] {
  const events = client.received
    .filter((response) => response.watch_id === id)
    .flatMap((response) => response.events);
  return events.map(({ kv }) => Number(kv?.mod_revision));
}

/** What once went wrong in etcd, as issues of its repository; each must not go wrong here. */
describe('incidents', () => {
  it('15220: a progress notification does not overtake events', () => {
    const bench = new WatchBench({ progressIntervalMs: 1000 });
    for (let at = 0; at < 5; at++) bench.put('a');
    const client = bench.open({ capacity: 2 });
    client.create({ key: bytes('a'), start_revision: 2n, progress_notify: true });
    // The watch has not caught up: both kinds stay silent.
    client.requestProgress();
    bench.clock.advance(1000);
    client.drain();
    expect(client.received.map((response) => response.created)).toEqual([true]);
    bench.catchUp();
    // The stream holds back and misses events.
    client.create({ key: bytes('b') });
    bench.put('a');
    bench.put('a');
    client.requestProgress();
    bench.clock.advance(1000);
    for (let round = 0; round < 3; round++) {
      client.drain();
      bench.catchUp();
    }
    client.requestProgress();
    client.drain();
    const progress = client.received.filter(({ created, events }) => !created && events.length === 0);
    expect(progress.map(({ watch_id: id, header }) => [id, header?.revision])).toEqual([[-1n, 8n]]);
    expect(client.received.at(-1)).toBe(progress[0]);
    expect(revisions(client)).toEqual([2, 3, 4, 5, 6, 7, 8]);
  });

  it('15271: a watch does not go back when a snapshot replaces the store', async () => {
    const bench = new WatchBench();
    const client = bench.open();
    client.create({ key: bytes('a'), start_revision: 1n });
    client.create({ key: bytes('a') });
    for (let at = 0; at < 3; at++) bench.put('a');
    bench.catchUp();
    // The same history, further on.
    const other = new WatchBench();
    for (let at = 0; at < 6; at++) other.put('a');
    let wanted = 0;
    bench.hub.onWork = () => wanted++;
    await bench.restore(other);
    expect(wanted).toBe(1);
    bench.catchUp();
    expect(revisions(client, 0n)).toEqual([2, 3, 4, 5, 6, 7]);
    expect(revisions(client, 1n)).toEqual([2, 3, 4, 5, 6, 7]);
    expect(bench.hub.isCurrent).toBe(true);
  });

  it('15271: a watch whose next revision the snapshot has compacted is canceled, and one of the future is not', async () => {
    const bench = new WatchBench();
    const client = bench.open();
    client.create({ key: bytes('a') });
    client.create({ key: bytes('a'), start_revision: 6n });
    bench.put('a');
    const other = new WatchBench();
    for (let at = 0; at < 6; at++) other.put('a');
    other.compact(5);
    await bench.restore(other);
    bench.catchUp();
    expect(revisions(client, 0n)).toEqual([2]);
    expect(client.received.filter(({ canceled }) => canceled)).toMatchObject([
      { watch_id: 0n, compact_revision: 5n },
    ]);
    expect(revisions(client, 1n)).toEqual([6, 7]);
  });

  it('17247: a key that is written several times around a transaction gives each event once', () => {
    const bench = new WatchBench();
    const client = bench.open();
    client.create({ key: bytes('a'), range_end: bytes('z') });
    client.create({ key: bytes('a') });
    bench.put('a', 'b');
    bench.put('a');
    const txn = bench.store.begin();
    expect(txn.range({ bounds: { from: 'a', to: undefined, single: false } }).count).toBe(2);
    txn.put('a', bytes('x'), 0n);
    bench.hub.notify(txn.end());
    bench.hub.notify(bench.store.begin().end());
    bench.catchUp();
    expect(revisions(client, 0n)).toEqual([2, 2, 3, 4]);
    expect(revisions(client, 1n)).toEqual([2, 3, 4]);
  });

  it('17529: a starved watch that a compaction overtakes is canceled, and never skips events', () => {
    const bench = new WatchBench();
    const slow = bench.open({ capacity: 2 });
    const fast = bench.open();
    slow.create({ key: bytes('a') });
    fast.create({ key: bytes('a') });
    for (let at = 0; at < 10; at++) bench.put('a');
    bench.compact(8);
    bench.put('a');
    for (let round = 0; round < 5; round++) {
      slow.drain();
      bench.catchUp();
    }
    expect(revisions(slow)).toEqual([2]);
    expect(slow.received.at(-1)).toMatchObject({ watch_id: 0n, canceled: true, compact_revision: 8n });
    expect(slow.received.at(-1)?.header?.revision).toBe(0n);
    expect(revisions(fast)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(bench.hub.stats).toMatchObject({ watchers: 1, slowWatchers: 0 });
  });

  it('17529: also when the compaction comes while a large revision is read, for a late watch and for a synced one', () => {
    const keys = Array.from({ length: 40 }, (_, at) => `k${String(at).padStart(2, '0')}`);
    for (const isLate of [true, false]) {
      const bench = new WatchBench({ stepRows: 4, inlineChangesMax: 8 });
      const client = bench.open();
      if (!isLate) client.create({ key: bytes('k'), range_end: bytes('l') });
      bench.put(...keys);
      if (isLate) client.create({ key: bytes('k'), range_end: bytes('l'), start_revision: 2n });
      bench.hub.runCatchUp(0);
      expect(bench.hub.stats.pendingEvents).toBeGreaterThan(0);
      // Half of revision 2 is still unread, and is removed now.
      bench.put(...keys.slice(20));
      bench.compact(3);
      bench.catchUp();
      expect(revisions(client)).toEqual([]);
      expect(client.received.at(-1)).toMatchObject({ watch_id: 0n, canceled: true, compact_revision: 3n });
      expect(bench.hub.stats).toMatchObject({ watchers: 0, slowWatchers: 0, pendingEvents: 0 });
    }
  });

  it('18089 and 19179: a watch from the compact revision sees the delete that happened there', () => {
    const bench = new WatchBench();
    bench.put('a');
    const deleted = bench.delete('a');
    bench.put('b');
    bench.compact(deleted);
    const client = bench.open();
    client.create({ key: bytes('a'), start_revision: BigInt(deleted) });
    bench.catchUp();
    expect(client.received[1].events).toMatchObject([
      { type: mvccpb.Event_EventType.DELETE, kv: { mod_revision: BigInt(deleted) } },
    ]);
  });

  it('19179: also when the compaction was interrupted and went on after a restart', () => {
    for (let rows = 1; rows <= 6; rows++) {
      const bench = new WatchBench();
      bench.put('a', 'b', 'c');
      const deleted = bench.delete('a', 'd');
      bench.put('d');
      bench.store.compact(deleted);
      bench.store.compactSlice(rows);
      bench.backend.setApplied({ index: 9, term: 1 });
      const survivor = bench.backend.crash((candidates) => candidates.length - 1);
      const restarted = new WatchBench({}, survivor);
      while (restarted.store.compactSlice(rows));
      const client = restarted.open();
      client.create({ key: bytes('a'), range_end: bytes('z'), start_revision: BigInt(deleted) });
      restarted.catchUp();
      expect(revisions(client)).toEqual([3, 3, 3, 4]);
    }
  });

  it('20221: a watch of a future revision gets neither older events nor progress', () => {
    const bench = new WatchBench({ progressIntervalMs: 1000 });
    const client = bench.open();
    client.create({ key: bytes('a'), start_revision: 5n, progress_notify: true });
    for (let at = 0; at < 3; at++) {
      bench.put('a');
      client.requestProgress();
      bench.clock.advance(1000);
    }
    expect(client.received.length).toBe(1);
    bench.put('a');
    bench.put('a');
    client.requestProgress();
    expect(revisions(client)).toEqual([5, 6]);
    expect(client.received.at(-1)).toMatchObject({ watch_id: -1n, header: { revision: 6n } });
  });
});

describe('a slow stream', () => {
  it('disturbs nobody, and holds no more than its sink took', () => {
    const bench = new WatchBench();
    const slow = bench.open({ capacity: 4 });
    const fast = bench.open();
    for (let at = 0; at < 3; at++) slow.create({ key: bytes('a') });
    fast.create({ key: bytes('a') });
    for (let at = 0; at < 1000; at++) bench.put('a');
    expect(revisions(fast).length).toBe(1000);
    expect(bench.hub.stats).toMatchObject({ slowWatchers: 3, pendingEvents: 0 });
    expect(bench.hub.runCatchUp()).toBe(false);
    for (let round = 0; round < 40; round++) {
      slow.drain();
      bench.catchUp();
    }
    for (let id = 0n; id < 3n; id++) expect(revisions(slow, id).length).toBe(1000);
    expect(bench.hub.stats.slowWatchers).toBe(0);
  });

  it('of a revision too large to be notified inline gets it whole, while others are created and written', () => {
    const bench = new WatchBench({ stepRows: 64 });
    const client = bench.open();
    client.create({ key: bytes('k'), range_end: bytes('l') });
    const keys = Array.from({ length: 6000 }, (_, at) => `k${at}`);
    bench.put(...keys);
    expect(client.received.length).toBe(1);
    bench.hub.runCatchUp();
    bench.put('k1');
    client.create({ key: bytes('k1') });
    client.requestProgress();
    bench.catchUp();
    bench.put('k1');
    const sizes = client.received.filter(({ watch_id: id }) => id === 0n).map(({ events }) => events.length);
    expect(sizes).toEqual([0, 6000, 1, 1]);
    expect(revisions(client, 1n)).toEqual([4]);
    expect(client.received.some(({ watch_id: id }) => id === -1n)).toBe(false);
  });
});

describe('catching up', () => {
  it('asks for work once, and takes turns between watches far behind and near', () => {
    let asked = 0;
    const bench = new WatchBench({ stepRows: 100 });
    bench.hub.onWork = () => asked++;
    for (let at = 0; at < 5000; at++) bench.put('a');
    const far = bench.open();
    const near = bench.open();
    far.create({ key: bytes('a'), start_revision: 2n });
    near.create({ key: bytes('a'), start_revision: 4990n });
    expect(asked).toBe(1);
    // The near one is served on the second turn, long before the far one is through.
    bench.hub.runCatchUp(0);
    bench.hub.runCatchUp(0);
    expect(revisions(near).length).toBe(12);
    expect(revisions(far).length).toBeLessThan(500);
    bench.catchUp();
    expect(revisions(far).length).toBe(5000);
    far.create({ key: bytes('a'), start_revision: 2n });
    expect(asked).toBe(2);
  });
});
