import { type MemberId } from '../message.js';
import { majorityIndex, majorityVote, type VoteResult } from './majority.js';

/**
 * The voters that decide. `outgoing` is empty except during a joint configuration, when every decision needs a majority
 * of each half (thesis 4.3).
 */
export interface Electorate {
  readonly incoming: readonly MemberId[];
  readonly outgoing: readonly MemberId[];
}

/** The highest index that a quorum of the electorate has reached. The electorate is not empty. */
export function quorumIndex(electorate: Electorate, indexOf: (voter: MemberId) => number): number {
  const incoming = majorityIndex(electorate.incoming, indexOf);
  if (electorate.outgoing.length === 0) return incoming;
  return Math.min(incoming, majorityIndex(electorate.outgoing, indexOf));
}

/** Won when both halves are, lost as soon as one half is. */
export function quorumVote(
  electorate: Electorate,
  voteOf: (voter: MemberId) => boolean | undefined,
): VoteResult {
  const incoming = majorityVote(electorate.incoming, voteOf);
  const outgoing = majorityVote(electorate.outgoing, voteOf);
  if (incoming === 'lost' || outgoing === 'lost') return 'lost';
  return incoming === 'won' && outgoing === 'won' ? 'won' : 'pending';
}
