import { type Append, type MemberId, type Message, NO_MEMBER } from './message.js';

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
        message.hintIndex <= message.previousIndex
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
      return true;
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

/** The place of an entry, or (0, 0) for the place before the first. */
function isPosition(index: number, term: number): boolean {
  return isCounter(index) && isCounter(term) && (index === 0) === (term === 0);
}

function isCounter(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
