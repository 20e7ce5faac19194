import { type MemberId } from '../message.js';

/** The state of a vote: decided either way, or still open. */
export type VoteResult = 'pending' | 'won' | 'lost';

/** The least number of voters of which any two sets intersect. */
export function majorityOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/**
 * The highest index that a majority has reached, when `indexOf` tells how far each voter is. An empty set of voters
 * constrains nothing: infinity, so that a joint decision follows the other half alone.
 */
export function majorityIndex(voters: readonly MemberId[], indexOf: (voter: MemberId) => number): number {
  const count = voters.length;
  if (count === 0) return Number.POSITIVE_INFINITY;
  if (count === 1) return indexOf(voters[0]!);
  const descending: number[] = [];
  for (const voter of voters) insertDescending(descending, indexOf(voter));
  return descending[majorityOf(count) - 1]!;
}

/**
 * The result of a vote in which `voteOf` tells each voter's answer, undefined for none yet. Without voters it is won,
 * so that a joint decision follows the other half alone.
 */
export function majorityVote(
  voters: readonly MemberId[],
  voteOf: (voter: MemberId) => boolean | undefined,
): VoteResult {
  const needed = voters.length === 0 ? 0 : majorityOf(voters.length);
  let granted = 0;
  let open = 0;
  for (const voter of voters) {
    const vote = voteOf(voter);
    if (vote === undefined) open += 1;
    else if (vote) granted += 1;
  }
  if (granted >= needed) return 'won';
  return granted + open >= needed ? 'pending' : 'lost';
}

/** Insertion sort: configurations have a handful of voters. */
function insertDescending(sorted: number[], value: number): void {
  let at = sorted.length;
  sorted.push(value);
  while (at > 0 && sorted[at - 1]! < value) {
    sorted[at] = sorted[at - 1]!;
    at -= 1;
  }
  sorted[at] = value;
}
