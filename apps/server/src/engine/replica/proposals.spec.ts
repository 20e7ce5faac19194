import { ProtocolError } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { type ApplyResult } from '../apply/apply-result.js';
import { Proposals } from './proposals.js';

const result: ApplyResult = { error: undefined, revision: 2, body: new Uint8Array() };

function setup(): {
  readonly proposals: Proposals;
  readonly seen: string[];
  add(name: string, index: number, term: number, deadline?: number): void;
} {
  const proposals = new Proposals();
  const seen: string[] = [];
  const add = (name: string, index: number, term: number, deadline = 100): void => {
    const done = (error: ProtocolError | undefined): void =>
      void seen.push(`${name} ${error?.reason ?? 'ok'}`);
    const lost = proposals.add(index, term, Buffer.from(name), deadline, done, false);
    if (lost !== undefined) seen.push(`${Buffer.from(lost.command).toString()} overwritten`);
  };
  return { proposals, seen, add };
}

describe('Proposals', () => {
  it('settles a proposal with the result of its own entry only', () => {
    const { proposals, seen, add } = setup();
    add('a', 5, 1);
    add('b', 6, 1);
    proposals.settle(4, 1, result);
    proposals.settle(5, 1, result);
    proposals.settle(6, 2, result);
    expect(seen).toEqual(['a ok']);
    expect([proposals.count, proposals.bytes]).toEqual([1, 1]);
  });

  it('passes on the error that applying gave', () => {
    const { proposals, seen, add } = setup();
    add('a', 1, 1);
    proposals.settle(1, 1, { ...result, error: ProtocolError.of('LeaseNotFound') });
    expect(seen).toEqual(['a LeaseNotFound']);
  });

  it('gives out as lost what belongs to earlier terms than the entry that is applied next', () => {
    const { proposals, seen, add } = setup();
    add('a', 5, 1);
    add('b', 6, 2);
    add('c', 7, 3);
    expect(proposals.takeLost(1)).toEqual([]);
    expect(proposals.takeLost(3).map(({ command }) => Buffer.from(command).toString())).toEqual(['a', 'b']);
    proposals.settle(7, 3, result);
    expect(seen).toEqual(['c ok']);
    expect([proposals.count, proposals.bytes]).toEqual([0, 0]);
  });

  it('gives up on what is overdue, oldest first, and answers each once', () => {
    const { proposals, seen, add } = setup();
    add('a', 1, 1, 50);
    add('b', 2, 1, 90);
    expect(proposals.expire(50)).toBe(1);
    proposals.settle(1, 1, result);
    expect(seen).toEqual(['a Timeout']);
    expect(proposals.bytes).toBe(1);
    proposals.failAll(ProtocolError.of('Stopped'));
    expect(seen).toEqual(['a Timeout', 'b Stopped']);
  });

  it('keeps proposals apart however many wait, and wherever in the log they begin', () => {
    const { proposals, seen, add } = setup();
    const first = 2 ** 33 - 70;
    for (let at = 0; at < 1_000; at++) add(String(at), first + at, 1);
    expect(proposals.count).toBe(1_000);
    for (let at = 0; at < 600; at++) proposals.settle(first + at, 1, result);
    for (let at = 1_000; at < 1_500; at++) add(String(at), first + at, 1);
    for (let at = 600; at < 1_500; at++) proposals.settle(first + at, 1, result);
    expect(seen).toEqual(Array.from({ length: 1_500 }, (_, at) => `${at} ok`));
    expect([proposals.count, proposals.bytes]).toEqual([0, 0]);
  });

  it('gives out the proposal that a newer one of this member takes the index of', () => {
    const { proposals, seen, add } = setup();
    add('old', 3, 1);
    add('new', 3, 2);
    proposals.settle(3, 2, result);
    expect(seen).toEqual(['old overwritten', 'new ok']);
  });
});
