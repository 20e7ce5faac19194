import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RaftLog } from './log.js';
import { type Entry, entryBytes } from './message.js';

function entry(index: number, term: number, bytes = 1): Entry {
  return { index, term, kind: 'normal', data: new Uint8Array(bytes).fill(term) };
}

/** A log with these terms at indexes 1, 2, 3, … */
function logOf(terms: readonly number[], commit = 0): RaftLog {
  return new RaftLog(
    0,
    0,
    terms.map((term, at) => entry(at + 1, term)),
    commit,
    0,
  );
}

describe('RaftLog', () => {
  it('behaves like a plain list, through appends, conflicts, commits, applies and compactions', () => {
    const step = fc.record({
      action: fc.constantFrom('append', 'leader', 'commit', 'apply', 'compact'),
      a: fc.nat(30),
      b: fc.nat(6),
    });
    const property = fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const log = logOf([]);
      const list: Entry[] = [];
      let commit = 0;
      let applied = 0;
      let term = 1;
      for (const { action, a, b } of steps) {
        const last = list.length;
        if (action === 'append') {
          const next = entry(last + 1, term);
          log.append(next);
          list.push(next);
        } else if (action === 'leader') {
          // A leader of a later term agrees up to `previous`, which holds everything committed.
          term += 1;
          const previous = commit + (a % (last - commit + 1));
          const entries = Array.from({ length: b }, (_, at) => entry(previous + 1 + at, term));
          const replaced = log.appendFromLeader(entries);
          expect(replaced).toBe(b > 0 && previous < last ? previous + 1 : 0);
          if (b > 0) list.splice(previous, Infinity, ...entries);
        } else if (action === 'commit') {
          commit = Math.max(commit, Math.min(a, last));
          log.commitTo(Math.min(a, last));
        } else if (action === 'apply') {
          const limit = Math.min(commit, a);
          const taken = log.takeCommitted(a);
          expect(taken).toEqual(limit > applied ? list.slice(applied, limit) : []);
          applied = Math.max(applied, limit);
          log.appliedTo(applied);
        } else log.compact(a, b, 1_000_000);
        expectSame(log, list, commit, applied);
      }
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('finds the last index of a term at most, by search as by walking', () => {
    const terms = fc.array(fc.nat(2), { minLength: 1, maxLength: 30 });
    const property = fc.property(terms, fc.nat(35), fc.nat(40), (rises, index, term) => {
      let current = 1;
      const log = logOf(rises.map((rise) => (current += rise)));
      let walked = Math.min(index, log.lastIndex);
      while (walked > 0 && log.termAt(walked) > term) walked -= 1;
      expect(log.lastIndexAtMost(index, term)).toBe(walked);
    });
    fc.assert(property, { numRuns: 500 });
  });

  it('keeps what agrees, so that a late append never shortens the log', () => {
    const log = logOf([1, 1, 2, 2]);
    expect(log.appendFromLeader([entry(2, 1), entry(3, 2)])).toBe(0);
    expect(log.lastIndex).toBe(4);
  });

  it('never replaces a committed entry', () => {
    const log = logOf([1, 1, 1], 2);
    expect(() => log.appendFromLeader([entry(2, 2)])).toThrow('a committed entry is never replaced');
    expect(log.appendFromLeader([entry(3, 2)])).toBe(3);
  });

  it('refuses gaps, falling terms, and a commit beyond its end', () => {
    const log = logOf([2]);
    expect(() => log.append(entry(3, 2))).toThrow('no gap');
    expect(() => log.append(entry(2, 1))).toThrow('terms never decrease');
    expect(() => log.commitTo(2)).toThrow('lost or cut');
    expect(() => logOf([1], 2)).toThrow('lost or cut');
    expect(() => new RaftLog(3, 1, [], 3, 2)).toThrow('what the log has forgotten is applied');
    expect(() => new RaftLog(3, 0, [], 3, 3)).toThrow('the base is an entry');
  });

  it('gives a vote to a later term, or to the same term and length', () => {
    const log = logOf([1, 2, 2]);
    expect(log.isUpToDate(1, 3)).toBe(true);
    expect(log.isUpToDate(3, 2)).toBe(true);
    expect(log.isUpToDate(2, 2)).toBe(false);
    expect(log.isUpToDate(9, 1)).toBe(false);
  });

  it('cuts a message at its byte limit, but always sends one entry', () => {
    const log = logOf([1, 1, 1]);
    const one = entryBytes(entry(1, 1));
    expect(log.sliceBytes(1, 2 * one)).toHaveLength(2);
    expect(log.sliceBytes(1, 2 * one - 1)).toHaveLength(1);
    expect(log.sliceBytes(2, 1)).toHaveLength(1);
    expect(log.sliceBytes(4, 100)).toHaveLength(0);
  });

  it('retains applied entries for members that lag, within their bytes', () => {
    const retained = (entries: number, bytes: number): number => {
      const log = logOf(new Array<number>(10).fill(1), 8);
      log.takeCommitted(8);
      log.appliedTo(8);
      log.compact(10, entries, bytes);
      return 8 - log.firstIndex + 1;
    };
    const one = entryBytes(entry(1, 1));
    expect(retained(0, 1e6)).toBe(0);
    expect(retained(3, 1e6)).toBe(3);
    expect(retained(3, 2 * one)).toBe(2);
    expect(retained(100, 1e6)).toBe(8);
  });

  it('drops what it forgets: the array stays proportional to what is kept', () => {
    const log = logOf([]);
    for (let index = 1; index <= 10_000; index += 1) {
      log.append(entry(index, 1));
      log.commitTo(index);
      log.takeCommitted(index);
      log.appliedTo(index);
      log.compact(index, 10, 1e6);
    }
    expect(log.firstIndex).toBe(9_991);
    expect(log.slice(9_991, 10_000)).toHaveLength(10);
    expect(() => log.slice(9_990, 10_000)).toThrow('begins in memory');
  });
});

function expectSame(log: RaftLog, list: readonly Entry[], commit: number, applied: number): void {
  expect(log.lastIndex).toBe(list.length);
  expect(log.lastTerm).toBe(list.at(-1)?.term ?? 0);
  expect(log.commit).toBe(commit);
  expect(log.applied).toBe(applied);
  expect(log.firstIndex - 1).toBeLessThanOrEqual(applied);
  expect(log.slice(log.firstIndex, log.lastIndex)).toEqual(list.slice(log.firstIndex - 1));
  for (let index = log.firstIndex; index <= log.lastIndex; index += 1) {
    expect(log.termAt(index)).toBe(list[index - 1]!.term);
  }
  const base = log.firstIndex - 1;
  expect(log.termAt(base)).toBe(base === 0 ? 0 : list[base - 1]!.term);
}
