import { assert } from '../platform/assert.js';
import { type MemberId } from './message.js';

/** Who asked: a caller on the leader's own member, or a follower on behalf of its callers. */
export type ReadOrigin =
  | { readonly kind: 'local'; readonly request: bigint | number }
  | { readonly kind: 'forwarded'; readonly member: MemberId; readonly request: number };

/** The reads that one confirmation of leadership answers. */
export interface ReadRound {
  readonly sequence: number;
  /** The commit index when the round began, after each of its reads had arrived. */
  readonly index: number;
  readonly origins: readonly ReadOrigin[];
}

/** Rounds under way before further reads wait for one of them: the answers clock the questions. */
const ROUNDS_UNDER_WAY = 4;

const NO_ROUNDS: readonly ReadRound[] = [];

/**
 * ReadIndex (thesis 6.4): the leader notes its commit index, makes sure that it still leads, and answers. A round is
 * named by a token (term, sequence) that the leader makes itself. Every heartbeat carries the newest sequence; who
 * answers it confirms that round and every earlier one, so a lost answer delays a read until the next heartbeat and
 * never needs a token twice.
 *
 * Lives as long as one leader's term. Invariants: sequences increase by one; a read is in the queue or in one round;
 * rounds are answered in order, each once; no round begins before an entry of the term is committed, because until
 * then the leader's commit index may lag behind what its predecessor acknowledged.
 */
export class ReadOnly {
  #queue: ReadOrigin[] = [];
  readonly #rounds: ReadRound[] = [];
  #sequence = 0;
  readonly #termStart: number;

  /** `termStart` is the index of the first entry of the leader's term. */
  constructor(termStart: number) {
    this.#termStart = termStart;
  }

  /** The newest sequence, 0 before the first round. */
  get sequence(): number {
    return this.#sequence;
  }
  get isWaiting(): boolean {
    return this.#rounds.length > 0;
  }
  get size(): number {
    let size = this.#queue.length;
    for (const round of this.#rounds) size += round.origins.length;
    return size;
  }

  add(origin: ReadOrigin): void {
    this.#queue.push(origin);
  }

  /** Whether a commit index answers reads in this term. */
  isOpen(commit: number): boolean {
    return commit >= this.#termStart;
  }

  canBegin(commit: number): boolean {
    return this.#queue.length > 0 && this.isOpen(commit);
  }

  /** Whether a round should begin at the end of this turn, rather than wait for an answer or the next heartbeat. */
  shouldBegin(commit: number): boolean {
    return this.#rounds.length < ROUNDS_UNDER_WAY && this.canBegin(commit);
  }

  /** Puts all that is queued into a new round. */
  begin(commit: number): void {
    assert(this.#queue.length > 0, 'a round has reads');
    this.#sequence += 1;
    this.#rounds.push({ sequence: this.#sequence, index: commit, origins: this.#queue });
    this.#queue = [];
  }

  /** Removes and returns the rounds up to `sequence`, which a quorum confirmed. */
  confirm(sequence: number): readonly ReadRound[] {
    assert(sequence <= this.#sequence, 'only a round that began is confirmed');
    let confirmed = 0;
    while (confirmed < this.#rounds.length && this.#rounds[confirmed]!.sequence <= sequence) confirmed += 1;
    return confirmed === 0 ? NO_ROUNDS : this.#rounds.splice(0, confirmed);
  }

  /** Leadership ended: removes and returns everything that was not answered. */
  abandon(): readonly ReadOrigin[] {
    const origins = this.#rounds.flatMap((round) => round.origins).concat(this.#queue);
    this.#rounds.length = 0;
    this.#queue = [];
    return origins;
  }
}
