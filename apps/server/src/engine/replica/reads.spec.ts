import { ProtocolError } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { Reads } from './reads.js';

function recording(): {
  readonly reads: Reads;
  readonly seen: string[];
  add(name: string, deadline?: number): void;
  /** Asks for a round at time 0. */
  ask(): number;
} {
  const reads = new Reads();
  const seen: string[] = [];
  return {
    reads,
    seen,
    add: (name, deadline = 10_000) =>
      reads.add(deadline, (error) => seen.push(`${name} ${error?.reason ?? 'ok'}`)),
    ask: () => reads.takeRequest(0)!,
  };
}

describe('Reads', () => {
  it('answers a batch when its index is applied, not before', () => {
    const { reads, seen, add, ask } = recording();
    add('a');
    add('b');
    reads.confirm(ask(), 7, 6);
    reads.applied(6);
    expect(seen).toEqual([]);
    reads.applied(7);
    expect(seen).toEqual(['a ok', 'b ok']);
    expect(reads.count).toBe(0);
  });

  it('never lets a read join a batch that was asked for before', () => {
    const { reads, seen, add, ask } = recording();
    add('early');
    const first = ask();
    add('late');
    reads.confirm(first, 3, 3);
    expect(seen).toEqual(['early ok']);
    const second = ask();
    expect(second).not.toBe(first);
    reads.confirm(second, 4, 4);
    expect(seen).toEqual(['early ok', 'late ok']);
  });

  it('asks for nothing when nobody waits, and ignores answers it did not ask for', () => {
    const { reads, seen, add, ask } = recording();
    expect(reads.takeRequest(0)).toBeUndefined();
    add('a');
    const request = ask();
    reads.confirm(99, 1, 1);
    reads.confirm(request, 1, 1);
    reads.confirm(request, 1, 1);
    expect(seen).toEqual(['a ok']);
  });

  it('asks anew for a refused round: at once when a leader is known, otherwise after half a second', () => {
    const { reads, seen, add, ask } = recording();
    add('a');
    const first = ask();
    reads.reject(first);
    expect(reads.takeRetries(499, false)).toEqual([]);
    const [second] = reads.takeRetries(499, true);
    expect(second).not.toBe(first);
    reads.reject(second);
    const [third] = reads.takeRetries(1_000, false);
    reads.confirm(first, 1, 1);
    expect(seen).toEqual([]);
    reads.confirm(third, 1, 1);
    expect(seen).toEqual(['a ok']);
  });

  it('asks anew for a lost round after half a second, and takes whichever answer comes first', () => {
    const { reads, seen, add, ask } = recording();
    add('a');
    const first = ask();
    expect(reads.takeRetries(0, true)).toEqual([]);
    const [second] = reads.takeRetries(500, false);
    expect(reads.counts.slow).toBe(1);
    reads.confirm(first, 2, 2);
    reads.confirm(second, 2, 2);
    expect(seen).toEqual(['a ok']);
  });

  it('answers in the order of the indexes, however they were confirmed', () => {
    const { reads, seen, add, ask } = recording();
    add('later');
    reads.confirm(ask(), 9, 1);
    add('sooner');
    reads.confirm(ask(), 8, 1);
    reads.applied(8);
    expect(seen).toEqual(['sooner ok']);
    reads.applied(9);
    expect(seen).toEqual(['sooner ok', 'later ok']);
  });

  it('tells apart what it waited for when time runs out', () => {
    const { reads, seen, add, ask } = recording();
    add('unconfirmed', 10);
    ask();
    add('unapplied', 10);
    reads.confirm(ask(), 9, 1);
    add('fresh', 50);
    reads.expire(10);
    expect(seen).toEqual(['unconfirmed Timeout', 'unapplied TimeoutWaitAppliedIndex']);
    reads.failAll(ProtocolError.of('Stopped'));
    expect(seen).toContain('fresh Stopped');
    expect(reads.counts.failed).toBe(3);
  });
});
