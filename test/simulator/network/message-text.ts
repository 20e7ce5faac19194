import { type PeerMessage } from '../../../apps/server/src/engine/replica/peer-message.js';

/** A message in a line of the trace. */
export function messageText(message: PeerMessage): string {
  const { kind, term } = message;
  switch (message.kind) {
    case 'append': {
      const { previousIndex, previousTerm, entries, commit } = message;
      const last = previousIndex + entries.length;
      const range = entries.length === 0 ? 'nothing' : `${previousIndex + 1}..${last}`;
      return `append ${range} after ${previousIndex}@${previousTerm}, commit ${commit}, term ${term}`;
    }
    case 'append-reply':
      return `append-reply ${message.index}, term ${term}`;
    case 'append-rejection':
      return `append-rejection ${message.previousIndex} hint ${message.hintIndex}@${message.hintTerm}, term ${term}`;
    case 'vote':
    case 'pre-vote':
      return `${kind} with log ${message.lastIndex}@${message.lastTerm}, term ${term}`;
    case 'vote-reply':
    case 'pre-vote-reply':
      return `${kind} ${message.granted ? 'yes' : 'no'}, term ${term}`;
    case 'heartbeat':
      return `heartbeat commit ${message.commit} read ${message.readSequence}, term ${term}`;
    case 'read-index-reply':
      return `read-index-reply ${message.index}, term ${term}`;
    default:
      return `${kind}, term ${term}`;
  }
}
