import { type Message } from './message.js';
import { type Unstable } from './unstable.js';

/** What left its queue, parted by whether it may travel before the next batch is durable. */
export interface Outgoing {
  readonly now: readonly Message[];
  readonly afterPersist: readonly Message[];
}

const NO_MESSAGES: readonly Message[] = [];
const NOTHING: Outgoing = { now: NO_MESSAGES, afterPersist: NO_MESSAGES };

/**
 * Messages that wait for the end of the turn. Which of them must wait for the disk is decided then,
 * by one rule: nothing leaves before what it implies is durable.
 *
 * - Every message implies its sender's term. A leader's own entries are the exception of thesis 10.2.1: they travel
 *   while the leader writes them, and the leader counts itself only afterwards.
 * - A granted vote and a vote request imply the vote; the request also implies the log that it boasts of, because a
 *   vote that was won with entries lost since would elect a leader without committed ones. That log is durable whenever
 *   the vote is: the vote was cast after those entries, so it reaches the disk in their batch or a later one.
 * - An acknowledgement implies the entries, or the state that took their place.
 *
 * While a received state is being installed no batch goes to the disk: what would have to wait for one is held back
 * until `release`.
 *
 * Invariant: everything in the queue was sent in the current role, so also in the current term, and speaks of the log
 * as it is now: the queue is cleared when the role changes, because what a former role said has lost its meaning.
 */
export class Outbox {
  #queue: Message[] = [];
  #held: Message[] = [];

  /** Whether `take` would return anything. */
  hasLeaving(term: number, unstable: Unstable, isInstalling: boolean): boolean {
    if (!isInstalling) return this.#queue.length > 0;
    return this.#queue.some((message) => isCovered(message, term, unstable));
  }

  send(message: Message): void {
    this.#queue.push(message);
  }

  clear(): void {
    if (this.#queue.length > 0) this.#queue = [];
    if (this.#held.length > 0) this.#held = [];
  }

  /** The state is installed: what was held back leaves with the next batch, or before it. */
  release(): void {
    this.#queue = [...this.#held, ...this.#queue];
    this.#held = [];
  }

  /** Empties the queue. `term` is the current term. */
  take(term: number, unstable: Unstable, isInstalling: boolean): Outgoing {
    const queue = this.#queue;
    if (queue.length === 0) return NOTHING;
    this.#queue = [];
    let isAllCovered = true;
    for (const message of queue) isAllCovered &&= isCovered(message, term, unstable);
    if (isAllCovered) return { now: queue, afterPersist: NO_MESSAGES };
    const now: Message[] = [];
    const afterPersist: Message[] = [];
    for (const message of queue) (isCovered(message, term, unstable) ? now : afterPersist).push(message);
    if (!isInstalling) return { now, afterPersist };
    this.#held.push(...afterPersist);
    return { now, afterPersist: NO_MESSAGES };
  }
}

/** Whether all that a message implies is durable. */
function isCovered(message: Message, term: number, unstable: Unstable): boolean {
  if (unstable.durableHardState.term < term) return false;
  switch (message.kind) {
    case 'vote':
      return unstable.hasDurableVote(term, message.from);
    case 'vote-reply':
      return !message.granted || unstable.hasDurableVote(term, message.to);
    case 'append-reply':
      return unstable.persisted >= message.index;
    default:
      return true;
  }
}
