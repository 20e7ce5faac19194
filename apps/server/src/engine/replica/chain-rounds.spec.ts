import { describe, expect, it } from 'vitest';
import type { ChainValues } from '../apply/chains.js';
import { ChainRounds } from './chain-rounds.js';

const values: ChainValues = { log: 1n, results: 2n };

/** Members that report to everybody what they have at each index they hear of and have no report of their own for. */
function messagesUntilSilence(indexes: readonly number[], most: number): number {
  const members = [1n, 2n, 3n];
  const rounds = new Map(members.map((member) => [member, new ChainRounds(member)]));
  const queue: { from: bigint; to: bigint; index: number }[] = [];
  const tell = (from: bigint, index: number): void => {
    rounds.get(from)!.add(from, index, values);
    for (const to of members) if (to !== from) queue.push({ from, to, index });
  };
  for (const index of indexes) tell(1n, index);
  let delivered = 0;
  for (let message = queue.shift(); message !== undefined && delivered < most; message = queue.shift()) {
    const { from, to, index } = message;
    delivered++;
    const round = rounds.get(to)!.add(from, index, values);
    if (round !== undefined && !round.reports.has(to)) tell(to, index);
  }
  return delivered;
}

describe('ChainRounds', () => {
  it('keeps eight rounds, and begins none again that made room', () => {
    const rounds = new ChainRounds(1n);
    for (let index = 10; index < 18; index++) expect(rounds.add(1n, index, values)).toBeDefined();
    expect(rounds.add(2n, 18, values)).toBeDefined();
    expect(rounds.get(10)).toBeUndefined();
    expect(rounds.add(2n, 10, values)).toBeUndefined();
    expect(rounds.add(2n, 11, values)?.reports.size).toBe(2);
    rounds.clear();
    expect(rounds.add(2n, 10, values)).toBeUndefined();
  });

  it('makes no room for a round that is older than all of them', () => {
    const rounds = new ChainRounds(1n);
    for (let index = 10; index < 18; index++) rounds.add(1n, index, values);
    expect(rounds.add(2n, 3, values)).toBeUndefined();
    expect(rounds.add(2n, 18, values)).toBeDefined();
  });

  it('makes no room by a round that this member has yet to report on', () => {
    const rounds = new ChainRounds(1n);
    for (let index = 10; index < 18; index++) rounds.add(2n, index, values);
    expect(rounds.nextOpen()).toBe(10);
    expect(rounds.add(2n, 18, values)).toBeUndefined();
  });

  it.each([4, 8, 9, 12, 40])('fall silent after reports of %i indexes', (count) => {
    const indexes = Array.from({ length: count }, (_, at) => at + 100);
    // Nobody tells two others twice about one index.
    expect(messagesUntilSilence(indexes, 100_000)).toBeLessThanOrEqual(6 * count);
    expect(messagesUntilSilence([...indexes].reverse(), 100_000)).toBeLessThanOrEqual(6 * count);
  });
});
