import { ProtocolError } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { Reads } from './reads.js';

describe('Reads', () => {
  function recording(): {
    readonly reads: Reads;
    readonly seen: string[];
    add(name: string, deadline?: number): void;
  } {
    const reads = new Reads();
    const seen: string[] = [];
    return {
      reads,
      seen,
      add: (name, deadline = 100) =>
        reads.add(deadline, (error) => seen.push(`${name} ${error?.reason ?? 'ok'}`)),
    };
  }

  it('answers a batch when its index is applied, not before', () => {
    const { reads, seen, add } = recording();
    add('a');
    add('b');
    const request = reads.takeRequest()!;
    reads.confirm(request, 7, 6);
    reads.applied(6);
    expect(seen).toEqual([]);
    reads.applied(7);
    expect(seen).toEqual(['a ok', 'b ok']);
    expect(reads.count).toBe(0);
  });

  it('never lets a read join a batch that was asked for before', () => {
    const { reads, seen, add } = recording();
    add('early');
    const first = reads.takeRequest()!;
    add('late');
    reads.confirm(first, 3, 3);
    expect(seen).toEqual(['early ok']);
    const second = reads.takeRequest()!;
    expect(second).not.toBe(first);
    reads.confirm(second, 4, 4);
    expect(seen).toEqual(['early ok', 'late ok']);
  });

  it('asks for nothing when nobody waits, and ignores answers it did not ask for', () => {
    const { reads, seen, add } = recording();
    expect(reads.takeRequest()).toBeUndefined();
    add('a');
    const request = reads.takeRequest()!;
    reads.reject(request, ProtocolError.of('LeaderChanged'));
    reads.confirm(request, 1, 1);
    reads.confirm(99, 1, 1);
    expect(seen).toEqual(['a LeaderChanged']);
  });

  it('tells apart what it waited for when time runs out', () => {
    const { reads, seen, add } = recording();
    add('unconfirmed', 10);
    reads.takeRequest();
    add('unapplied', 10);
    reads.confirm(reads.takeRequest()!, 9, 1);
    add('fresh', 50);
    reads.expire(10);
    expect(seen).toEqual(['unconfirmed Timeout', 'unapplied TimeoutWaitAppliedIndex']);
    reads.failAll(ProtocolError.of('Stopped'));
    expect(seen).toContain('fresh Stopped');
  });
});
