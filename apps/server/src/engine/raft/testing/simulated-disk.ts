import { type Entry, type HardState, NO_MEMBER } from '../message.js';
import { type PersistBatch } from '../work.js';
import { type SeededRandom } from './seeded-random.js';

/** One thing that a write-ahead log holds. */
type DiskRecord = { readonly entry: Entry } | { readonly hardState: HardState };

/** Where a log begins: the last entry that a state holds. */
export interface Mark {
  readonly index: number;
  readonly term: number;
}

/**
 * A write-ahead log as a crash leaves it. Batches are written in order; a synced batch makes everything before it
 * durable; of what is not synced a crash keeps any prefix of records, torn in the middle of a batch or not.
 */
export class SimulatedDisk {
  hardState: HardState = { term: 0, vote: NO_MEMBER, commit: 0 };
  /** The durable log begins behind this mark; the state before it stands elsewhere. */
  mark: Mark = { index: 0, term: 0 };
  /** The durable log from `mark.index + 1` on. */
  entries: Entry[] = [];
  /** Written but not synced, in order. */
  #cached: DiskRecord[] = [];

  get lastIndex(): number {
    return this.mark.index + this.entries.length;
  }

  /** -1 where there is no entry, and where the log no longer says. */
  termAt(index: number): number {
    if (index === this.mark.index) return this.mark.term;
    return this.entries[index - this.mark.index - 1]?.term ?? -1;
  }

  /** Whether a committed entry cannot be lost here: it is in the log, or in the state before it. */
  holds(index: number, term: number): boolean {
    return index <= this.mark.index || this.termAt(index) === term;
  }

  /** Whether a vote goes to a log that ends like this. */
  isBehind(lastIndex: number, lastTerm: number): boolean {
    const term = this.termAt(this.lastIndex);
    return lastTerm > term || (lastTerm === term && lastIndex >= this.lastIndex);
  }

  /** What the state at `mark` holds is needed no more. */
  cut(mark: Mark): void {
    if (mark.index <= this.mark.index) return;
    this.entries.splice(0, mark.index - this.mark.index);
    this.mark = mark;
  }

  /** A received state takes the place of the whole log, durably. Everything that was written before is synced or gone. */
  restartAfter(mark: Mark): void {
    this.#sync(this.#cached.length);
    this.entries = [];
    this.mark = mark;
  }

  /** The batch is written, and synced when it must be. */
  complete(batch: PersistBatch): void {
    this.#cached.push(...recordsOf(batch));
    if (batch.mustSync) this.#sync(this.#cached.length);
  }

  /** Power is lost while `underway` is being written, in order. */
  crash(underway: readonly PersistBatch[], random: SeededRandom): void {
    for (const batch of underway) this.#cached.push(...recordsOf(batch));
    this.#sync(random.below(this.#cached.length + 1));
    this.#cached = [];
  }

  #sync(count: number): void {
    for (const record of this.#cached.splice(0, count)) {
      if ('hardState' in record) this.hardState = record.hardState;
      else {
        this.entries.length = record.entry.index - this.mark.index - 1;
        this.entries.push(record.entry);
      }
    }
  }
}

function recordsOf(batch: PersistBatch): DiskRecord[] {
  const records: DiskRecord[] = batch.entries.map((entry) => ({ entry }));
  if (batch.hardState !== undefined) records.push({ hardState: batch.hardState });
  return records;
}
