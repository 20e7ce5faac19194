import { findContradiction } from './confchange/configuration.js';
import { type Append, type MemberId, type Message, NO_MEMBER, type Snapshot } from './message.js';

/**
 * Whether a message makes sense by itself and is meant for this member. What a peer sends is untrusted input: anything
 * else is dropped before it can touch the state. O(entries).
 */
export function isAcceptable(message: Message, self: MemberId): boolean {
  if (message.to !== self || message.from === self || message.from === NO_MEMBER) return false;
  if (!isCounter(message.term) || message.term === 0) return false;
  switch (message.kind) {
    case 'pre-vote':
    case 'vote':
      return isPosition(message.lastIndex, message.lastTerm) && message.lastTerm < message.term;
    case 'append':
      return isAcceptableAppend(message);
    case 'append-reply':
      return isCounter(message.index);
    case 'append-rejection':
      return (
        isCounter(message.previousIndex) &&
        isPosition(message.hintIndex, message.hintTerm) &&
        message.hintIndex <= message.previousIndex &&
        (!message.needsState || message.hintIndex === 0)
      );
    case 'heartbeat':
      return isCounter(message.commit) && isCounter(message.readSequence);
    case 'heartbeat-reply':
      return isCounter(message.readSequence);
    case 'read-index':
    case 'read-index-refusal':
      return isCounter(message.request);
    case 'read-index-reply':
      return isCounter(message.request) && isCounter(message.sequence) && isCounter(message.index);
    case 'pre-vote-reply':
    case 'vote-reply':
    case 'stale-term':
    case 'timeout-now':
      return true;
    case 'committed':
      return isPosition(message.index, message.entryTerm);
    case 'snapshot':
      return isAcceptableSnapshot(message, self);
  }
}

/** Whether a message answers one of ours. */
export function isAnswer(message: Message): boolean {
  switch (message.kind) {
    case 'pre-vote':
    case 'vote':
    case 'append':
    case 'heartbeat':
    case 'read-index':
    case 'timeout-now':
    case 'snapshot':
      return false;
    default:
      return true;
  }
}

function isAcceptableAppend(message: Append): boolean {
  if (!isPosition(message.previousIndex, message.previousTerm)) return false;
  if (!isCounter(message.commit)) return false;
  let index = message.previousIndex;
  let term = message.previousTerm;
  for (const entry of message.entries) {
    if (entry.index !== index + 1 || entry.term < term || !isCounter(entry.term)) return false;
    index = entry.index;
    term = entry.term;
  }
  return term <= message.term && isCounter(index);
}

/** A state that does not name its receiver is older than the receiver's membership and would not make it a member. */
function isAcceptableSnapshot(message: Snapshot, self: MemberId): boolean {
  const { index, snapshotTerm, confState, term } = message;
  if (!isPosition(index, snapshotTerm) || index === 0 || snapshotTerm > term) return false;
  if (findContradiction(confState) !== undefined) return false;
  return [confState.voters, confState.outgoing, confState.learners].some((list) => list.includes(self));
}

/** The place of an entry, or (0, 0) for the place before the first. */
function isPosition(index: number, term: number): boolean {
  return isCounter(index) && isCounter(term) && (index === 0) === (term === 0);
}

function isCounter(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
