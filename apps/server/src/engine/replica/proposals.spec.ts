import { ProtocolError } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { type ApplyResult } from '../apply/apply-result.js';
import { Proposals } from './proposals.js';

const result: ApplyResult = { error: undefined, revision: 2, body: new Uint8Array() };

function outcomes(): {
  readonly seen: string[];
  done: (name: string) => (error: ProtocolError | undefined) => void;
} {
  const seen: string[] = [];
  return { seen, done: (name) => (error) => seen.push(`${name} ${error?.reason ?? 'ok'}`) };
}

describe('Proposals', () => {
  it('settles a proposal with the result of its own entry only', () => {
    const proposals = new Proposals();
    const { seen, done } = outcomes();
    proposals.add(5, 1, 10, 100, done('a'));
    proposals.add(6, 1, 10, 100, done('b'));
    proposals.settle(4, 1, result);
    proposals.settle(5, 1, result);
    // Another leader's entry took the place of the second.
    proposals.settle(6, 2, result);
    expect(seen).toEqual(['a ok', 'b LeaderChanged']);
    expect([proposals.count, proposals.bytes]).toEqual([0, 0]);
  });

  it('passes on the error that applying gave', () => {
    const proposals = new Proposals();
    const { seen, done } = outcomes();
    proposals.add(1, 1, 0, 100, done('a'));
    proposals.settle(1, 1, { ...result, error: ProtocolError.of('LeaseNotFound') });
    expect(seen).toEqual(['a LeaseNotFound']);
  });

  it('gives up on what is overdue, oldest first, and answers each once', () => {
    const proposals = new Proposals();
    const { seen, done } = outcomes();
    proposals.add(1, 1, 7, 50, done('a'));
    proposals.add(2, 1, 7, 90, done('b'));
    proposals.expire(50);
    proposals.settle(1, 1, result);
    expect(seen).toEqual(['a Timeout']);
    expect(proposals.bytes).toBe(7);
    proposals.failAll(ProtocolError.of('Stopped'));
    expect(seen).toEqual(['a Timeout', 'b Stopped']);
  });

  it('fails the proposal that a newer one of this member takes the index of', () => {
    const proposals = new Proposals();
    const { seen, done } = outcomes();
    proposals.add(3, 1, 1, 50, done('old'));
    proposals.add(3, 2, 1, 50, done('new'));
    proposals.settle(3, 2, result);
    expect(seen).toEqual(['old LeaderChanged', 'new ok']);
  });
});
