import { ProtocolError } from '@conclave/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryBackend } from '../backend/memory-backend.js';
import { MvccStore } from './mvcc-store.js';
import { rangeBounds } from './range-bounds.js';
import { type RangeQuery, type RangeResult, SortOrder, SortTarget } from './range-query.js';
import { encodeKeyValue, NaiveStore, type NaiveRange, type NaiveWrite } from './testing/naive-store.js';

/** What goes through the log: applied again after a crash. */
type Entry =
  | { readonly kind: 'txn'; readonly writes: readonly NaiveWrite[] }
  | { readonly kind: 'compact'; readonly fraction: number };

/** What happens on one member only. */
type Step =
  | Entry
  | { readonly kind: 'slice'; readonly rows: number }
  | { readonly kind: 'crash'; readonly fraction: number }
  | { readonly kind: 'flush' }
  | { readonly kind: 'range'; readonly query: RangeQuery; readonly fraction: number; readonly rows: number };

const key = fc.constantFrom('a', 'b', 'b\0', 'ba', 'c', 'd\xff', '\xff');
const rangeEnd = fc.oneof(
  { weight: 2, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: fc.constant('\0') },
  key,
);
const bounds = fc.tuple(key, rangeEnd).map(([from, end]) => rangeBounds(from, end));
const lease = fc.constantFrom(0n, 0n, 1n, 0x7a6b_5c4d_3e2f_1011n, -5n);
const put: fc.Arbitrary<NaiveWrite> = fc.record({
  kind: fc.constant('put' as const),
  key,
  value: fc.constantFrom('', 'x', 'yy', '\xff\0'),
  lease,
});
const remove: fc.Arbitrary<NaiveWrite> = fc.record({ kind: fc.constant('delete' as const), bounds });
const write = fc.oneof({ weight: 4, arbitrary: put }, { weight: 1, arbitrary: remove });
const bound = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(30) });
const query: fc.Arbitrary<RangeQuery> = fc.record({
  bounds: fc.oneof(bounds, fc.constant(rangeBounds('\0', '\0'))),
  limit: fc.constantFrom(0, 0, 1, 2, 3, -1),
  countOnly: fc.boolean(),
  keysOnly: fc.boolean(),
  sortTarget: fc.constantFrom(
    SortTarget.Key,
    SortTarget.Version,
    SortTarget.Create,
    SortTarget.Mod,
    SortTarget.Value,
  ),
  sortOrder: fc.constantFrom(SortOrder.None, SortOrder.Ascend, SortOrder.Descend),
  minMod: bound,
  maxMod: bound,
  minCreate: bound,
  maxCreate: bound,
});
const fraction = fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('txn' as const),
      writes: fc.array(write, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('compact' as const), fraction }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('slice' as const), rows: fc.constantFrom(1, 2, 5, 100) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const), fraction }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('range' as const),
      query,
      fraction,
      rows: fc.integer({ min: 1, max: 4 }),
    }),
  },
);

/** A store beside the model, with the entries applied so far. */
class Member {
  backend = new MemoryBackend({ onFlush: (flush) => flush.complete() });
  store = MvccStore.open(this.backend);
  model = new NaiveStore();
  private readonly entries: Entry[] = [];

  run(next: Step): void {
    switch (next.kind) {
      case 'txn':
      case 'compact':
        this.entries.push(next);
        this.apply(next);
        return;
      case 'slice':
        this.store.compactSlice(next.rows);
        return;
      case 'flush':
        void this.backend.flush();
        return;
      case 'crash':
        this.crash(next.fraction);
        return;
      case 'range':
        this.compareRange(
          next.query,
          Math.round(next.fraction * (this.model.currentRevision + 1)),
          next.rows,
        );
        return;
    }
  }

  compareEverything(): void {
    const { store, model } = this;
    expect(store.currentRevision).toBe(model.currentRevision);
    expect(store.compactRevision).toBe(model.compactRevision);
    expect(store.liveKeys).toBe(model.stateAt(model.currentRevision).size);
    for (let revision = Math.max(1, model.compactRevision); revision <= model.currentRevision; revision++) {
      this.compareRange({ bounds: rangeBounds('\0', '\0') }, revision, 2);
      expect(store.hashKv(revision)).toEqual({
        hash: model.hash(revision),
        compactRevision: model.compactRevision,
        hashRevision: revision,
      });
    }
  }

  /** The rows in the log are exactly those that a finished compaction leaves. */
  compareRows(): void {
    while (this.store.compactSlice(3));
    const rows: string[] = [];
    this.backend.scanLog({ main: 0, sub: 0 }, undefined, (main, sub) => {
      rows.push(`${main}/${sub}`);
    });
    expect(rows).toEqual(this.model.survivors().map(({ main, sub }) => `${main}/${sub}`));
    const heads = new Set<string>();
    this.backend.scan('head', '', undefined, {}, (head) => {
      heads.add(head);
    });
    expect(heads).toEqual(new Set(this.model.survivors().map((event) => event.key)));
    expect(this.store.state.tombstoneHeads).toBe(heads.size - this.store.liveKeys);
    expect(MvccStore.open(this.backend).state).toEqual(this.store.state);
  }

  private apply(entry: Entry): void {
    if (entry.kind === 'txn') this.applyTxn(entry.writes);
    else {
      const revision = Math.round(entry.fraction * (this.model.currentRevision + 1));
      expect(refusal(() => this.store.compact(revision))).toBe(this.model.compact(revision));
    }
    this.backend.setApplied({ index: this.backend.applied.index + 1, term: 1 });
  }

  private applyTxn(writes: readonly NaiveWrite[]): void {
    const txn = this.store.begin();
    for (const next of writes) {
      if (next.kind === 'put') txn.put(next.key, Buffer.from(next.value, 'latin1'), next.lease);
      else {
        const cursor = txn.deleteSlices(next.bounds, true);
        const readable = this.model.range({ bounds: rangeBounds('\0', '\0') });
        while (!cursor.step(1)) {
          // Readers see the state before the transaction while it is at work.
          expect(answer(this.store.range({ bounds: rangeBounds('\0', '\0') }))).toEqual(plain(readable));
        }
        expect(cursor.previous.length).toBe(cursor.deleted);
      }
    }
    const inside = answer(txn.range({ bounds: rangeBounds('\0', '\0') }));
    const set = txn.end();
    const changes = this.model.write(writes);
    expect(inside).toEqual(plain(this.model.range({ bounds: rangeBounds('\0', '\0') })));
    expect(set.revision).toBe(this.model.currentRevision);
    expect(set.changes.map(({ key: changed, sub, tombstone }) => ({ changed, sub, tombstone }))).toEqual(
      changes.map(({ key: changed, sub, value }) => ({ changed, sub, tombstone: value === undefined })),
    );
    for (const [at, change] of set.changes.entries()) {
      const bytes = change.buffer.subarray(change.keyValueStart, change.keyValueEnd);
      expect([...bytes]).toEqual([...this.model.encode(changes[at])]);
    }
  }

  private crash(share: number): void {
    this.backend = this.backend.crash((candidates) => Math.round(share * (candidates.length - 1)));
    this.store = MvccStore.open(this.backend);
    const { index } = this.backend.applied;
    this.model = new NaiveStore();
    for (const entry of this.entries.slice(0, index)) applyToModel(this.model, entry);
    expect(this.store.currentRevision).toBe(this.model.currentRevision);
    expect(this.store.compactRevision).toBe(this.model.compactRevision);
    for (const entry of this.entries.slice(index)) this.apply(entry);
  }

  private compareRange(base: RangeQuery, revision: number, rows: number): void {
    const ranged = { ...base, revision };
    const expected = plain(this.model.range(ranged));
    expect(attempt(() => this.store.range(ranged))).toEqual(expected);
    const sliced = attempt(() => {
      const scan = this.store.rangeSlices(ranged);
      for (;;) {
        const result = scan.step(rows);
        if (result !== undefined) return result;
      }
    });
    expect(sliced).toEqual(expected);
  }
}

function applyToModel(model: NaiveStore, entry: Entry): void {
  if (entry.kind === 'txn') model.write(entry.writes);
  else model.compact(Math.round(entry.fraction * (model.currentRevision + 1)));
}

function refusal(run: () => void): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof ProtocolError) return error.reason;
    throw error;
  }
}

function attempt(run: () => RangeResult): unknown {
  try {
    return answer(run());
  } catch (error) {
    if (error instanceof ProtocolError) return error.reason;
    throw error;
  }
}

function answer(result: RangeResult): unknown {
  const kvs = result.kvs.map((kv) => Buffer.from(kv.bytes).toString('hex'));
  return { kvs, count: result.count, more: result.more };
}

function plain(range: NaiveRange | string): unknown {
  if (typeof range === 'string') return range;
  const kvs = range.kvs.map((kv) => Buffer.from(encodeKeyValue(kv)).toString('hex'));
  return { kvs, count: range.count, more: range.more };
}

describe('MvccStore beside a model that keeps everything', () => {
  it('answers as the model does, through compactions, crashes and replays', () => {
    const runs = fc.property(fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }), (steps) => {
      const member = new Member();
      for (const next of steps) member.run(next);
      member.compareEverything();
      member.compareRows();
      member.compareEverything();
    });
    fc.assert(runs, { numRuns: 150, seed: 20_251 });
  });
});
