import { type PeerMessage, type ProposalRefusal, type QueryMethod } from '../engine/replica/peer-message.js';

/**
 * What may travel between members. A raft message `snapshot` says that a whole state arrived; only the receiver itself
 * may say so, after it checked every byte, so it has no form on the wire.
 */
export type WireMessage = Exclude<PeerMessage, { readonly kind: 'snapshot' }>;
export type WireKind = WireMessage['kind'];

/** Numbers of the kinds on the wire; a number is never given to another kind. */
export const kindNumbers: Readonly<Record<WireKind, number>> = {
  'pre-vote': 1,
  'pre-vote-reply': 2,
  vote: 3,
  'vote-reply': 4,
  append: 5,
  'append-reply': 6,
  'append-rejection': 7,
  heartbeat: 8,
  'heartbeat-reply': 9,
  'read-index': 10,
  'read-index-reply': 11,
  'read-index-refusal': 12,
  'stale-term': 13,
  'timeout-now': 14,
  committed: 15,
  propose: 32,
  'propose-refused': 33,
  query: 34,
  'query-reply': 35,
  chains: 36,
};

export const queryMethodNumbers: Readonly<Record<QueryMethod, number>> = {
  'lease-keep-alive': 1,
  'lease-time-to-live': 2,
  'member-promote': 3,
  'member-add': 4,
  'member-remove': 5,
  'member-update': 6,
  'member-state': 7,
  'members-change': 8,
};

export const refusalNumbers: Readonly<Record<ProposalRefusal['reason'], number>> = {
  'not-leader': 1,
  'too-many-uncommitted': 2,
  transferring: 3,
};

/** The table read the other way. */
export function namesByNumber<T extends string>(
  numbers: Readonly<Record<T, number>>,
): ReadonlyMap<number, T> {
  return new Map((Object.entries(numbers) as [T, number][]).map(([name, number]) => [number, name]));
}

/** Which of the two streams to a member a message takes. */
export type Lane = 'urgent' | 'bulk';

/**
 * Messages that carry what clients wrote go in a stream of their own, so that the small ones, on which elections and
 * reads depend, never wait behind them.
 */
export function laneOf(kind: WireKind): Lane {
  return kind === 'append' || kind === 'propose' ? 'bulk' : 'urgent';
}
