import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { installState, memoryBackend } from '../backend/memory-backend.fixture.js';
import { type MemoryBackend } from '../backend/memory-backend.js';
import { type HashResult } from './hash.js';
import { MvccStore } from './mvcc-store.js';
import { rangeBounds } from './range-bounds.js';
import { type RangeQuery, type RangeResult, SortOrder, SortTarget } from './range-query.js';

/** A member: a store whose entries are counted. */
class Member {
  readonly backend: MemoryBackend = memoryBackend();
  readonly store = MvccStore.open(this.backend);

  put(key: string, value: string): void {
    const txn = this.store.begin();
    txn.put(key, Buffer.from(value), 0n);
    txn.end();
    this.applied();
  }

  delete(from: string, to: string): void {
    const txn = this.store.begin();
    txn.deleteRange(rangeBounds(from, to));
    txn.end();
    this.applied();
  }

  compact(revision: number): void {
    this.store.compact(revision);
    while (this.store.compactSlice(7));
    this.applied();
  }

  async takeStateOf(other: Member): Promise<void> {
    await installState(other.backend, this.backend, () => this.store.reload());
  }

  private applied(): void {
    this.backend.setApplied({ index: this.backend.applied.index + 1, term: 1 });
  }
}

const everything = { from: '\0', to: undefined, single: false };

function rows(result: RangeResult): string[] {
  return result.kvs.map((kv) => `${kv.key} ${kv.mod} ${Buffer.from(kv.value).toString()}`);
}

describe('a store whose backend was given a later state', () => {
  it('has its revisions, keys and history', async () => {
    const [member, other] = [new Member(), new Member()];
    for (const each of [member, other]) for (let at = 0; at < 5; at++) each.put(`k${at}`, 'old');
    for (let at = 3; at < 9; at++) other.put(`k${at}`, 'new');
    other.delete('k0', '');
    other.compact(9);
    await member.takeStateOf(other);
    expect(member.store.currentRevision).toBe(other.store.currentRevision);
    expect(member.store.compactRevision).toBe(9);
    expect(member.store.liveKeys).toBe(8);
    expect(member.store.compactionPending).toBe(false);
    const query = { bounds: everything };
    expect(rows(member.store.range(query))).toEqual(rows(other.store.range(query)));
    expect(member.store.hashKv(0)).toEqual(other.store.hashKv(0));
    expect(() => member.store.range({ bounds: everything, revision: 8 })).toThrow(/compacted/);
    // It goes on from there as the other does.
    for (const each of [member, other]) each.put('k0', 'again');
    expect(rows(member.store.range(query))).toEqual(rows(other.store.range(query)));
    expect(member.store.head('k0')).toMatchObject({ version: 1, create: member.store.currentRevision });
  });

  it('goes on with a compaction that the sender had not finished', async () => {
    const [member, other] = [new Member(), new Member()];
    for (let at = 0; at < 30; at++) other.put('k', String(at));
    other.store.compact(25);
    other.store.compactSlice(4);
    other.put('k', 'last');
    await member.takeStateOf(other);
    expect(member.store.compactionPending).toBe(true);
    while (member.store.compactSlice(3));
    let left = 0;
    member.backend.scanLog({ main: 0, sub: 0 }, undefined, () => void left++);
    expect(left).toBe(31 - 25 + 2);
    expect(member.store.hashKv(0)).toEqual(other.store.hashKv(0));
  });

  it('refuses to be reloaded within a transaction', () => {
    const member = new Member();
    member.store.begin();
    expect(() => member.store.reload()).toThrow(/within a transaction/);
  });
});

interface Script {
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly compactShare: number;
  readonly revisionShare: number;
  readonly steps: number;
}

const script: fc.Arbitrary<Script> = fc.record({
  before: fc.array(fc.nat(59), { minLength: 20, maxLength: 60 }),
  after: fc.array(fc.nat(59), { minLength: 1, maxLength: 60 }),
  compactShare: fc.constantFrom(0, 0, 30, 60, 90, 100),
  revisionShare: fc.constantFrom(50, 80, 100),
  steps: fc.nat(6),
});

/** Puts key n, or deletes it where n is a multiple of 4. */
function write(member: Member, numbers: readonly number[]): void {
  for (const [at, number] of numbers.entries()) {
    const key = `k${String(number).padStart(2, '0')}`;
    if (number % 4 === 0) member.delete(key, '');
    else member.put(key, `${number} at ${at}`);
  }
}

function isCompacted(error: unknown): boolean {
  return error instanceof Error && error.message.includes('compacted');
}

describe('reads in slices across a later state', () => {
  const queries: readonly Omit<RangeQuery, 'revision'>[] = [
    { bounds: everything },
    { bounds: everything, sortOrder: SortOrder.Descend },
    { bounds: everything, sortTarget: SortTarget.Value, sortOrder: SortOrder.Ascend },
    { bounds: everything, limit: 9 },
    { bounds: everything, countOnly: true },
  ];

  it('answer exactly what held at their revision, or say that it was compacted', async () => {
    let [answered, compacted] = [0, 0];
    await fc.assert(
      fc.asyncProperty(script, fc.constantFrom(...queries), async (run, query) => {
        const [member, other] = [new Member(), new Member()];
        for (const each of [member, other]) write(each, run.before);
        const revision = Math.max(1, Math.floor((member.store.currentRevision * run.revisionShare) / 100));
        const expected = member.store.range({ ...query, revision });
        const scan = member.store.rangeSlices({ ...query, revision });
        const hash = member.store.hashSlices(revision);
        let result: RangeResult | undefined;
        for (let at = 0; at < run.steps && result === undefined; at++) result = scan.step(3);
        hash.step(3);
        write(other, run.after);
        const target = Math.floor((other.store.currentRevision * run.compactShare) / 100);
        if (target > 0) other.compact(target);
        await member.takeStateOf(other);
        try {
          while (result === undefined) result = scan.step(3);
          answered++;
          expect(rows(result)).toEqual(rows(expected));
          expect([result.count, result.more]).toEqual([expected.count, expected.more]);
          checkHash(hash.step(Number.MAX_SAFE_INTEGER), other.store.hashKv(revision));
        } catch (error) {
          if (!isCompacted(error)) throw error;
          compacted++;
          expect(revision).toBeLessThan(target);
        }
      }),
      { numRuns: 150, seed: 7 },
    );
    expect(answered).toBeGreaterThan(30);
    expect(compacted).toBeGreaterThan(10);
  });
});

function checkHash(found: HashResult | undefined, expected: HashResult): void {
  expect(found).toEqual(expected);
}
