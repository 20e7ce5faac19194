import { assert } from '../platform/assert.js';
import { type Entry, type HardState, type MemberId, type Message } from './message.js';
import { type RaftLog } from './log.js';
import { type PersistBatch } from './work.js';

/** A batch that the disk has not acknowledged. */
interface Outstanding {
  readonly id: number;
  readonly hardState: HardState;
  /** What is durable once this batch is. Lowered when entries of it are replaced before it is acknowledged. */
  durableTo: number;
}

/**
 * What of the log and of the hard state is durable, on its way to the disk, or still to be handed out.
 *
 *        persisted         handed          lastIndex
 *   ────────┤▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒├────────────────┤
 *    durable   in `#outstanding`    next batch
 *
 * Several batches are under way at once and are acknowledged in order. When a new leader replaces entries that are
 * under way, the acknowledgement of the old batch must not be taken for one of the new entries, not even when a third
 * leader brings the old entries back (same index, same term): the disk may hold the second leader's instead. Therefore
 * every outstanding batch is cut at the index of a truncation, and entries above it count as durable only with the
 * batch that wrote them last.
 *
 * While a received state is being installed, nothing of the log that it begins is durable: persisted is 0.
 *
 * Invariants: persisted <= handed <= lastIndex; `durableTo` never exceeds `handed` and never decreases along
 * `#outstanding`; the durable hard state is the one of the last acknowledged batch.
 */
export class Unstable {
  #persisted: number;
  #handed: number;
  #durable: HardState;
  #handedHardState: HardState;
  readonly #outstanding: Outstanding[] = [];
  #lastId = 0;

  constructor(lastIndex: number, hardState: HardState) {
    this.#persisted = lastIndex;
    this.#handed = lastIndex;
    this.#durable = hardState;
    this.#handedHardState = hardState;
  }

  /** The last index that is durable here as the log has it now. */
  get persisted(): number {
    return this.#persisted;
  }
  get durableHardState(): HardState {
    return this.#durable;
  }
  get handedCommit(): number {
    return this.#handedHardState.commit;
  }

  /** Whether a vote or a message of this term and vote is covered by what is durable. */
  hasDurableVote(term: number, vote: MemberId): boolean {
    return this.#durable.term > term || (this.#durable.term === term && this.#durable.vote === vote);
  }

  /** Whether there is something that has to be synced: entries, a new term or a new vote. */
  needsSync(lastIndex: number, term: number, vote: MemberId): boolean {
    return lastIndex > this.#handed || this.#isNewVote(term, vote);
  }

  /** Entries from `index` on were replaced. */
  truncatedFrom(index: number): void {
    this.#handed = Math.min(this.#handed, index - 1);
    this.#persisted = Math.min(this.#persisted, index - 1);
    this.cutOutstanding(index);
  }

  /** All that is new since the last batch, and the messages that wait for it. */
  takeBatch(log: RaftLog, term: number, vote: MemberId, messages: readonly Message[]): PersistBatch {
    const mustSync = this.needsSync(log.lastIndex, term, vote);
    const isNew = this.#isNewVote(term, vote) || log.commit !== this.#handedHardState.commit;
    if (isNew) this.#hand({ term, vote, commit: log.commit });
    const entries: readonly Entry[] = log.slice(this.#handed + 1, log.lastIndex);
    this.#handed = log.lastIndex;
    this.#lastId += 1;
    this.#outstanding.push({ id: this.#lastId, hardState: this.#handedHardState, durableTo: this.#handed });
    const hardState = isNew ? this.#handedHardState : undefined;
    return { id: this.#lastId, hardState, entries, messages, mustSync };
  }

  /** The oldest outstanding batch is durable. */
  acknowledge(id: number): void {
    const batch = this.#outstanding.shift();
    assert(batch !== undefined, 'a persist batch is outstanding');
    assert(batch.id === id, 'persist batches are acknowledged in order');
    assert(batch.durableTo <= this.#handed, 'only what was handed out becomes durable');
    this.#persisted = Math.max(this.#persisted, batch.durableTo);
    this.#durable = batch.hardState;
  }

  /** A received state up to `index` is about to take the place of the log. */
  restartAt(index: number): void {
    this.#handed = index;
    this.#persisted = 0;
    this.cutOutstanding(1);
  }

  /** It has, durably. */
  restarted(): void {
    this.#persisted = this.#handed;
  }

  /** Takes entries from `index` on out of what outstanding batches will make durable. */
  protected cutOutstanding(index: number): void {
    for (const batch of this.#outstanding) batch.durableTo = Math.min(batch.durableTo, index - 1);
  }

  #isNewVote(term: number, vote: MemberId): boolean {
    return term !== this.#handedHardState.term || vote !== this.#handedHardState.vote;
  }

  #hand(next: HardState): void {
    const last = this.#handedHardState;
    assert(next.term >= last.term, 'the term never decreases');
    assert(next.term > last.term || last.vote === 0n || next.vote === last.vote, 'one vote in a term');
    assert(next.commit >= last.commit, 'the commit index never decreases');
    this.#handedHardState = next;
  }
}
