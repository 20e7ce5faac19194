import { type Entry, type HardState, NO_MEMBER } from '../message.js';
import { type PersistBatch } from '../work.js';
import { type SeededRandom } from './seeded-random.js';

/** One thing that a write-ahead log holds. */
type DiskRecord = { readonly entry: Entry } | { readonly hardState: HardState };

/**
 * A write-ahead log as a crash leaves it. Batches are written in order; a synced batch makes everything before it
 * durable; of what is not synced a crash keeps any prefix of records, torn in the middle of a batch or not.
 */
export class SimulatedDisk {
  hardState: HardState = { term: 0, vote: NO_MEMBER, commit: 0 };
  /** The durable log from index 1 on. */
  entries: Entry[] = [];
  /** Written but not synced, in order. */
  #cached: DiskRecord[] = [];

  get lastIndex(): number {
    return this.entries.length;
  }

  termAt(index: number): number {
    return index === 0 ? 0 : (this.entries[index - 1]?.term ?? -1);
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
        this.entries.length = record.entry.index - 1;
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
