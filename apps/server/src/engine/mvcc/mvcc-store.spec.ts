import { ProtocolError, type ProtocolErrorName } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { MemoryBackend } from '../backend/memory-backend.js';
import { MvccStore } from './mvcc-store.js';
import { rangeBounds } from './range-bounds.js';
import { type RangeQuery, SortOrder, SortTarget } from './range-query.js';
import { CorruptionError } from './storage-errors.js';

const everything = rangeBounds('\0', '\0');

class Bench {
  backend = new MemoryBackend({ onFlush: () => {} });
  store = MvccStore.open(this.backend);

  put(key: string, value = '', lease = 0n): void {
    const txn = this.store.begin();
    txn.put(key, Buffer.from(value), lease);
    txn.end();
    this.applied();
  }

  delete(key: string, end = ''): number {
    const txn = this.store.begin();
    const { deleted } = txn.deleteRange(rangeBounds(key, end));
    txn.end();
    this.applied();
    return deleted;
  }

  compact(revision: number): void {
    this.store.compact(revision);
    this.applied();
  }

  applied(): void {
    this.backend.setApplied({ index: this.backend.applied.index + 1, term: 1 });
  }

  keys(query: Partial<RangeQuery> = {}): string[] {
    return this.store.range({ bounds: everything, ...query }).kvs.map((kv) => kv.key);
  }

  rows(): string[] {
    const rows: string[] = [];
    this.backend.scanLog({ main: 0, sub: 0 }, undefined, (main, sub) => {
      rows.push(`${main}/${sub}`);
    });
    return rows;
  }
}

function reason(run: () => unknown): ProtocolErrorName | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof ProtocolError) return error.reason;
    throw error;
  }
}

describe('revisions', () => {
  it('start at 1, and go up by one for each transaction that changes something', () => {
    const bench = new Bench();
    expect(bench.store.currentRevision).toBe(1);
    bench.put('a', 'same');
    bench.put('a', 'same');
    expect(bench.store.currentRevision).toBe(3);
    expect(bench.delete('nothing')).toBe(0);
    expect(bench.store.currentRevision).toBe(3);
    const txn = bench.store.begin();
    txn.put('b', Buffer.alloc(0), 0n);
    txn.put('c', Buffer.alloc(0), 0n);
    expect(txn.end()).toMatchObject({ revision: 4, count: 2, isComplete: true });
  });

  it('count versions from 1, again after a delete', () => {
    const bench = new Bench();
    bench.put('a');
    bench.put('a', 'x', 5n);
    expect(bench.store.head('a')).toEqual({ key: 'a', create: 2, mod: 3, version: 2, lease: 5n });
    bench.put('a');
    expect(bench.store.head('a')?.lease).toBe(0n);
    bench.delete('a');
    expect(bench.store.head('a')).toBeUndefined();
    bench.put('a');
    expect(bench.store.head('a')).toMatchObject({ create: 6, mod: 6, version: 1 });
  });

  it('tell which key leaves which lease', () => {
    const bench = new Bench();
    bench.put('a', '', 7n);
    bench.put('b', '', 7n);
    const moves: string[] = [];
    const txn = bench.store.begin((key, from, to) => moves.push(`${key} ${from} ${to}`));
    txn.put('a', Buffer.alloc(0), 7n);
    txn.put('b', Buffer.alloc(0), 8n);
    txn.put('c', Buffer.alloc(0), 0n);
    txn.deleteRange(everything);
    txn.end();
    expect(moves).toEqual(['b 7 8', 'a 7 0', 'b 8 0']);
  });
});

describe('a range', () => {
  it('is refused below the compact revision and above the current one, and works at both', () => {
    const bench = new Bench();
    for (const key of ['a', 'b', 'c']) bench.put(key);
    bench.compact(3);
    expect(reason(() => bench.keys({ revision: 2 }))).toBe('Compacted');
    expect(bench.keys({ revision: 3 })).toEqual(['a', 'b']);
    expect(bench.keys({ revision: 4 })).toEqual(['a', 'b', 'c']);
    expect(reason(() => bench.keys({ revision: 5 }))).toBe('FutureRev');
    expect(bench.keys({ revision: -1 })).toEqual(['a', 'b', 'c']);
  });

  it('cuts before it sorts when no order is given, after fetching one more than the limit', () => {
    const bench = new Bench();
    for (const key of ['c', 'b', 'a']) bench.put(key);
    const query = { limit: 1, sortTarget: SortTarget.Mod };
    expect(bench.keys(query)).toEqual(['b']);
    expect(bench.store.range({ bounds: everything, ...query })).toMatchObject({ count: 3, more: true });
    expect(bench.keys({ ...query, sortOrder: SortOrder.Ascend })).toEqual(['c']);
    expect(bench.keys({ ...query, sortOrder: SortOrder.Descend })).toEqual(['a']);
  });

  it('sorts many in slices as at once', () => {
    const bench = new Bench();
    const txn = bench.store.begin();
    for (let at = 0; at < 5000; at++) txn.put(`key-${at}`, Buffer.from(String((at * 7919) % 5000)), 0n);
    txn.end();
    for (const limit of [0, 10, 3000]) {
      const scan = bench.store.rangeSlices({
        bounds: everything,
        sortTarget: SortTarget.Value,
        sortOrder: SortOrder.Descend,
        limit,
      });
      let slices = 0;
      let result = scan.step(700);
      for (; result === undefined; result = scan.step(700)) slices++;
      expect(slices).toBeGreaterThan(5);
      const values = result.kvs.map((kv) => Buffer.from(kv.value).toString());
      expect(values).toEqual([...values].sort().reverse());
      expect(values.length).toBe(limit === 0 ? 5000 : limit);
      expect(result).toMatchObject({ count: 5000, more: limit !== 0 });
    }
  });

  it('ends where the limit cuts when nobody asks for the count', () => {
    const bench = new Bench();
    const txn = bench.store.begin();
    for (let at = 0; at < 5000; at++) txn.put(`key-${at}`, Buffer.of(1), 0n);
    txn.end();
    const scan = bench.store.rangeSlices({ bounds: everything, limit: 10, uncounted: true });
    // One slice, which is far from enough to visit all keys.
    expect(scan.step(1_000)).toMatchObject({ length: 10, more: true });
    expect(bench.store.rangeSlices({ bounds: everything, limit: 10 }).step(1_000)).toBeUndefined();
    const exact = { bounds: everything, limit: 5_000, uncounted: true };
    expect(bench.store.range(exact)).toMatchObject({ length: 5_000, count: 5_000, more: false });
  });

  it('in slices keeps its revision while keys are written, and ends when that is compacted', () => {
    const bench = new Bench();
    for (let at = 0; at < 50; at++) bench.put(`k${at}`, 'old');
    const scan = bench.store.rangeSlices({ bounds: everything });
    expect(scan.step(10)).toBeUndefined();
    bench.delete('k', 'l');
    bench.put('k49', 'new');
    const twin = bench.store.rangeSlices({ bounds: everything, revision: 51 });
    let result = scan.step(10);
    while (result === undefined) result = scan.step(10);
    expect(result.kvs.map((kv) => Buffer.from(kv.value).toString())).toEqual(
      Array.from({ length: 50 }, () => 'old'),
    );
    expect(result.revision).toBe(53);
    expect(twin.step(10)).toBeUndefined();
    bench.compact(52);
    expect(reason(() => twin.step(10))).toBe('Compacted');
  });

  it('fails on a damaged row, and on a missing one', () => {
    const bench = new Bench();
    bench.put('a', 'value');
    const row = bench.backend.getLog(2, 0)?.slice() ?? new Uint8Array(0);
    row[row.length - 1] ^= 1;
    bench.backend.deleteLog(2, 0);
    expect(() => bench.keys()).toThrow(CorruptionError);
    const other = new MemoryBackend({ onFlush: () => {} });
    other.put('head', 'a', bench.backend.get('head', 'a')?.slice() ?? row);
    other.appendLog(2, 0, row);
    other.put('meta', 'mvcc', bench.backend.get('meta', 'mvcc')?.slice() ?? row);
    expect(() => MvccStore.open(other).range({ bounds: everything })).toThrow(CorruptionError);
  });
});

describe('a compaction', () => {
  it('to 0 succeeds once on a fresh store, and never goes back', () => {
    const bench = new Bench();
    bench.compact(0);
    expect(reason(() => bench.compact(0))).toBe('Compacted');
    expect(reason(() => bench.compact(2))).toBe('FutureRev');
    bench.put('a');
    bench.compact(2);
    expect(reason(() => bench.compact(1))).toBe('Compacted');
    expect(reason(() => bench.compact(2))).toBe('Compacted');
  });

  it('is the example in its comment', () => {
    const bench = new Bench();
    bench.put('a');
    bench.delete('a');
    bench.put('b');
    bench.put('b');
    bench.compact(3);
    while (bench.store.compactSlice(1));
    expect(bench.rows()).toEqual(['3/0', '4/0', '5/0']);
    bench.compact(4);
    while (bench.store.compactSlice(1));
    expect(bench.rows()).toEqual(['4/0', '5/0']);
    expect(bench.backend.get('head', 'a')).toBeUndefined();
  });

  it('looks at its own revision again when the next one is set before it is finished', () => {
    const bench = new Bench();
    const txn = bench.store.begin();
    for (const key of ['a', 'b', 'c', 'd']) txn.put(key, Buffer.alloc(0), 0n);
    txn.end();
    bench.delete('a', 'z');
    bench.put('e');
    bench.compact(3);
    expect(bench.store.compactSlice(6)).toBe(true);
    bench.compact(4);
    while (bench.store.compactSlice(3));
    expect(bench.rows()).toEqual(['4/0']);
    expect(bench.store.state.tombstoneHeads).toBe(0);
  });

  it('incident 17780: the revision does not decrease after a crash in a compaction that removed the newest keys', () => {
    const bench = new Bench();
    for (let at = 0; at < 10; at++) bench.put('a', String(at));
    bench.delete('a');
    bench.put('b');
    bench.delete('b');
    const { currentRevision } = bench.store;
    bench.compact(currentRevision);
    bench.store.compactSlice(5);
    bench.applied();
    for (let rows = 1; bench.store.compactionPending; rows++) {
      bench.store.compactSlice(rows);
      bench.backend = bench.backend.crash((candidates) => candidates.length - 1);
      bench.store = MvccStore.open(bench.backend);
      expect(bench.store.currentRevision).toBe(currentRevision);
      expect(bench.store.compactRevision).toBe(currentRevision);
      bench.store.compactSlice(rows);
      bench.applied();
    }
    bench.put('c');
    expect(bench.store.currentRevision).toBe(currentRevision + 1);
  });

  it('incident 18667: whether a revision can be read does not depend on how far a member has compacted', () => {
    const members = [new Bench(), new Bench()];
    for (const bench of members) {
      for (let at = 0; at < 5; at++) bench.put('a', String(at));
      bench.compact(4);
    }
    while (members[0].store.compactSlice(1));
    for (let revision = 1; revision <= 6; revision++) {
      const answers = members.map((bench) => reason(() => bench.keys({ revision })));
      expect(answers[0]).toBe(revision < 4 ? 'Compacted' : undefined);
      expect(answers[1]).toBe(answers[0]);
      if (revision >= 4) expect(members[0].store.hashKv(revision)).toEqual(members[1].store.hashKv(revision));
    }
  });
});

describe('a transaction', () => {
  it('larger than its list of changes says so, and is in the log', () => {
    const bench = new Bench();
    const txn = bench.store.begin();
    for (let at = 0; at < 5000; at++) txn.put(`k${at}`, Buffer.alloc(0), 0n);
    expect(txn.end()).toMatchObject({ revision: 2, count: 5000, changes: [], isComplete: false });
    expect(bench.rows().length).toBe(5000);
    expect(bench.store.liveKeys).toBe(5000);
  });

  it('sees its own writes, and deletes them', () => {
    const bench = new Bench();
    bench.put('a', 'old');
    const txn = bench.store.begin();
    expect(txn.range({ bounds: everything }).revision).toBe(2);
    txn.put('a', Buffer.from('new'), 0n);
    expect(Buffer.from(txn.get('a')?.value ?? []).toString()).toBe('new');
    expect(Buffer.from(bench.store.get('a')?.value ?? []).toString()).toBe('old');
    expect(txn.range({ bounds: everything }).revision).toBe(3);
    const { deleted, previous } = txn.deleteRange(everything, true);
    expect(deleted).toBe(1);
    expect(previous.map((kv) => kv.mod)).toEqual([3]);
    txn.end();
    expect(bench.keys()).toEqual([]);
    expect(bench.keys({ revision: 2 })).toEqual(['a']);
  });
});
