import { assert } from '../platform/assert.js';
import { Arena, type ChunkPool } from './arena.js';
import { type AppliedMark, type ByteString } from './backend.js';
import { GenerationLog } from './generation-log.js';
import { type RedoChunk } from './redo-list.js';
import { TABLES } from './schema.js';
import { SortedMap, type SortedMapCursor } from './sorted-map.js';

/** New keys wait unsorted until a scan needs them or so many have come: sorting them costs about half a millisecond. */
const UNSORTED_MAX = 512;

/** What is known about a key in the layers below the generation. It never changes: those layers are frozen. */
const BELOW_UNKNOWN = 0;
const BELOW_ABSENT = 1;
const BELOW_PRESENT = 2;

/** The keys of one table. */
interface GenerationTable {
  /** Key to `address << 2 | what is known below`; address 0 says that the key is deleted. */
  readonly slots: Map<ByteString, number>;
  readonly sorted: SortedMap<undefined>;
  readonly unsorted: ByteString[];
}

/**
 * The changes of the most recent entries, in memory: an index over the redo list that the flush thread writes.
 *
 * Example, with two puts, a delete and a log row:
 *
 *     put head "a" "1"      slots a → 1·4         redo: put a 1
 *     put head "b" "2"      slots b → 4·4         redo: put a 1, put b 2
 *     delete head "a"       slots a → 0·4         redo: …, delete a
 *     appendLog 7/0 "x"     log (7, 0) → 9        redo: …, append 7/0 x
 *
 * Closing costs nothing: the redo list is complete at any time. A put that a later change of the same key supersedes is
 * marked in the list, so that the flush thread can skip it.
 *
 * Invariants: every key of `slots` is in exactly one of `sorted` and `unsorted`; `mark` is the boundary up to which
 * the changes are complete.
 */
export class Generation {
  readonly log = new GenerationLog();
  mark: AppliedMark;
  /** Number of changes. */
  rows = 0;
  private readonly arena: Arena;
  private readonly tables: readonly GenerationTable[] = TABLES.map(() => ({
    slots: new Map<ByteString, number>(),
    sorted: new SortedMap<undefined>(),
    unsorted: [],
  }));

  constructor(pool: ChunkPool, mark: AppliedMark) {
    this.arena = new Arena(pool);
    this.mark = mark;
  }

  /** Bytes of all changes. */
  get bytes(): number {
    return this.arena.bytes;
  }

  put(table: number, key: ByteString, value: Uint8Array): void {
    this.setSlot(this.tables[table], key, this.arena.appendPut(table, key, value));
  }

  delete(table: number, key: ByteString): void {
    this.arena.appendDelete(table, key);
    this.setSlot(this.tables[table], key, 0);
  }

  appendLog(main: number, sub: number, row: Uint8Array): void {
    this.rows++;
    this.log.append(main, sub, this.arena.appendLog(main, sub, row));
  }

  deleteLog(main: number, sub: number): void {
    this.rows++;
    this.arena.appendDeleteLog(main, sub);
    this.log.delete(main, sub);
  }

  /** Address of the key's value, 0 when it is deleted here, -1 when this generation does not know it. */
  find(table: number, key: ByteString): number {
    const slot = this.tables[table].slots.get(key);
    return slot === undefined ? -1 : slot >> 2;
  }

  value(address: number): Uint8Array {
    return this.arena.valueOfPut(address);
  }

  logRow(address: number): Uint8Array {
    return this.arena.rowOfLog(address);
  }

  /** The keys of a range, deleted ones too. */
  keys(
    table: number,
    from: ByteString,
    to: ByteString | undefined,
    reverse: boolean,
  ): SortedMapCursor<undefined> {
    const rows = this.tables[table];
    sortPending(rows);
    return rows.sorted.cursor(from, to, reverse);
  }

  hasKeys(table: number): boolean {
    return this.tables[table].slots.size > 0;
  }

  /**
   * By how much this generation changes the number of keys in a range. `isBelow` says whether a key exists in the
   * layers below; it is asked once for each key in the life of the generation.
   */
  countDelta(
    table: number,
    from: ByteString,
    to: ByteString | undefined,
    isBelow: (key: ByteString) => boolean,
  ): number {
    const { slots } = this.tables[table];
    const keys = this.keys(table, from, to, false);
    let delta = 0;
    while (keys.next()) {
      let slot = slots.get(keys.key);
      assert(slot !== undefined, 'a sorted key has a slot');
      if ((slot & 3) === BELOW_UNKNOWN) {
        slot |= isBelow(keys.key) ? BELOW_PRESENT : BELOW_ABSENT;
        slots.set(keys.key, slot);
      }
      const isHere = slot >> 2 !== 0;
      const wasBelow = (slot & 3) === BELOW_PRESENT;
      if (isHere !== wasBelow) delta += isHere ? 1 : -1;
    }
    return delta;
  }

  redo(): RedoChunk[] {
    return this.arena.redo();
  }

  /** Gives the memory back; the generation must not be used any more. */
  release(): void {
    this.arena.release();
  }

  private setSlot(table: GenerationTable, key: ByteString, address: number): void {
    this.rows++;
    const before = table.slots.get(key);
    if (before !== undefined) {
      if (before >> 2 !== 0) this.arena.supersede(before >> 2);
      table.slots.set(key, (address << 2) | (before & 3));
      return;
    }
    table.slots.set(key, address << 2);
    table.unsorted.push(key);
    if (table.unsorted.length >= UNSORTED_MAX) sortPending(table);
  }
}

function sortPending(table: GenerationTable): void {
  const { sorted, unsorted } = table;
  for (let at = 0; at < unsorted.length; at++) sorted.set(unsorted[at], undefined);
  unsorted.length = 0;
}
