import { describe, expect, it } from 'vitest';
import { type MemberId } from '../message.js';
import { quorumIndex, quorumVote } from './joint.js';
import { majorityIndex, majorityOf, majorityVote, type VoteResult } from './majority.js';

/** All subsets of the voters 1 to 5, the empty one included. */
const SUBSETS: MemberId[][] = Array.from({ length: 32 }, (_, bits) =>
  [1n, 2n, 3n, 4n, 5n].filter((_id, at) => (bits & (1 << at)) !== 0),
);

/** Every way to give each of `count` voters one of the values. */
function* assignments<T>(count: number, values: readonly T[]): Generator<T[]> {
  if (count === 0) return yield [];
  for (const rest of assignments(count - 1, values)) for (const value of values) yield [...rest, value];
}

/** The definition, spelled out: the highest index such that more than half of the voters are at it or above. */
function naiveIndex(voters: readonly MemberId[], indexOf: (voter: MemberId) => number): number {
  let highest = Number.POSITIVE_INFINITY;
  for (let index = 4; index >= 0; index -= 1) {
    if (voters.length === 0) break;
    highest = index;
    if (voters.filter((voter) => indexOf(voter) >= index).length * 2 > voters.length) break;
  }
  return highest;
}

/** The definition, spelled out: try every completion of the open votes. */
function naiveVote(
  voters: readonly MemberId[],
  voteOf: (voter: MemberId) => boolean | undefined,
): VoteResult {
  const open = voters.filter((voter) => voteOf(voter) === undefined);
  const outcomes = new Set<boolean>();
  for (const completion of assignments(open.length, [true, false])) {
    const granted = voters.filter((voter) => voteOf(voter) ?? completion[open.indexOf(voter)]);
    outcomes.add(voters.length === 0 || granted.length * 2 > voters.length);
  }
  if (outcomes.size === 2) return 'pending';
  return outcomes.has(true) ? 'won' : 'lost';
}

describe('majority', () => {
  it('is the least number whose sets intersect', () => {
    expect([1, 2, 3, 4, 5, 6, 7].map(majorityOf)).toEqual([1, 2, 2, 3, 3, 4, 4]);
  });

  it('finds the same index as its definition, for all indexes of up to five voters', () => {
    for (const voters of SUBSETS) {
      for (const indexes of assignments(voters.length, [0, 1, 2, 3])) {
        const indexOf = (voter: MemberId): number => indexes[voters.indexOf(voter)]!;
        expect(majorityIndex(voters, indexOf)).toBe(naiveIndex(voters, indexOf));
      }
    }
  });

  it('decides a vote as its definition does, for all votes of up to five voters', () => {
    for (const voters of SUBSETS) {
      for (const votes of assignments(voters.length, [true, false, undefined])) {
        const voteOf = (voter: MemberId): boolean | undefined => votes[voters.indexOf(voter)];
        expect(majorityVote(voters, voteOf)).toBe(naiveVote(voters, voteOf));
      }
    }
  });
});

describe('joint quorum', () => {
  const halves = SUBSETS.filter((voters) => voters.every((voter) => voter <= 4n));

  it('needs both halves for an index', () => {
    for (const incoming of halves.filter((voters) => voters.length > 0)) {
      for (const outgoing of halves) {
        for (const indexes of assignments(4, [0, 1, 2])) {
          const indexOf = (voter: MemberId): number => indexes[Number(voter) - 1]!;
          const naive = Math.min(naiveIndex(incoming, indexOf), naiveIndex(outgoing, indexOf));
          if (quorumIndex({ incoming, outgoing }, indexOf) !== naive) {
            expect.fail(`${incoming} + ${outgoing} at ${indexes}`);
          }
        }
      }
    }
  });

  it('is won by both halves and lost by either', () => {
    for (const incoming of halves.filter((voters) => voters.length > 0)) {
      for (const outgoing of halves) {
        for (const votes of assignments(4, [true, false, undefined])) {
          const voteOf = (voter: MemberId): boolean | undefined => votes[Number(voter) - 1];
          const results = [naiveVote(incoming, voteOf), naiveVote(outgoing, voteOf)];
          const isWon = results.every((result) => result === 'won');
          const naive = results.includes('lost') ? 'lost' : isWon ? 'won' : 'pending';
          if (quorumVote({ incoming, outgoing }, voteOf) !== naive) {
            expect.fail(`${incoming} + ${outgoing} with ${votes}`);
          }
        }
      }
    }
  });
});
