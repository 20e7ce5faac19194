import { Buffer } from 'node:buffer';
import { assert } from '../platform/assert.js';
import { type ByteString } from './backend.js';

/**
 * The redo list of one generation: every change, in order, in memory that the flush thread can read as it is.
 *
 * Records lie one after the other in chunks of shared memory, each at a multiple of 8 bytes. Words are 32 bits in the
 * byte order of the machine, since a record never leaves it:
 *
 *     put        [kind | superseded | table << 8] [key bytes] [value bytes] key value
 *     delete     [kind | table << 8]              [key bytes] [0]           key
 *     appendLog  [kind]                           [sub]       [row bytes]   [main low] [main high] [unused] row
 *     deleteLog  [kind]                           [sub]       [0]           [main low] [main high] [unused]
 *
 * A row of the log starts at a multiple of 8, too: between shared and ordinary memory the engine copies eight bytes at
 * a time when both sides are aligned alike, and one at a time else.
 */
export const RecordKind = { put: 1, delete: 2, appendLog: 3, deleteLog: 4 } as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

/** A put with this bit is followed by another change of its key. */
export const SUPERSEDED = 0x80;
const KIND_MASK = 0x7f;

export const RECORD_ALIGNMENT_SHIFT = 3;
export const TABLE_HEADER_BYTES = 12;
export const LOG_HEADER_BYTES = 24;
/** The first chunk starts with a unit that belongs to no record. */
export const FIRST_RECORD_AT = 1 << RECORD_ALIGNMENT_SHIFT;

/** What the flush thread gets: the memory and how much of it is in use, a multiple of 8. */
export interface RedoChunk {
  readonly memory: SharedArrayBuffer;
  readonly usedBytes: number;
}

/**
 * Steps through the records of one chunk. The fields are those of the current record; `start` and `end` tell where its
 * value or row lies.
 */
export class RedoCursor {
  kind: RecordKind | 0 = 0;
  /** A later record of the list changes the same key. */
  isSuperseded = false;
  table = 0;
  main = 0;
  sub = 0;
  start = 0;
  end = 0;
  private keyStart = 0;
  private readonly bytes: Buffer;
  private readonly words: Uint32Array;

  /**
   * @param memory The chunk's memory, or a copy of it.
   * @param at Where the first record starts, see {@link firstRecordAt}.
   */
  constructor(
    private readonly memory: ArrayBufferLike,
    private at: number,
    private readonly usedBytes: number,
  ) {
    this.bytes = Buffer.from(memory, 0, usedBytes);
    this.words = new Uint32Array(memory, 0, usedBytes >>> 2);
  }

  /** Moves to the next record; false at the end of the chunk. */
  next(): boolean {
    if (this.at >= this.usedBytes) {
      assert(this.at === this.usedBytes, 'a chunk ends with the end of a record');
      return false;
    }
    const word = this.at >>> 2;
    const first = this.words[word];
    this.kind = (first & KIND_MASK) as RecordKind;
    if (this.kind === RecordKind.put || this.kind === RecordKind.delete) this.readChange(word, first);
    else this.readLogChange(word);
    this.at = (this.end + 7) & ~7;
    return true;
  }

  /** The key that is put or deleted. */
  key(): ByteString {
    return this.bytes.toString('latin1', this.keyStart, this.start);
  }

  /** A view of the value or row. */
  value(): Uint8Array {
    return new Uint8Array(this.memory, this.start, this.end - this.start);
  }

  private readChange(word: number, first: number): void {
    const { words } = this;
    this.isSuperseded = (first & SUPERSEDED) !== 0;
    this.table = first >>> 8;
    this.keyStart = this.at + TABLE_HEADER_BYTES;
    this.start = this.keyStart + words[word + 1];
    this.end = this.start + words[word + 2];
  }

  private readLogChange(word: number): void {
    assert(
      this.kind === RecordKind.appendLog || this.kind === RecordKind.deleteLog,
      'a redo record has a known kind',
    );
    const { words } = this;
    this.sub = words[word + 1];
    this.main = words[word + 4] * 0x1_0000_0000 + words[word + 3];
    this.start = this.at + LOG_HEADER_BYTES;
    this.end = this.start + words[word + 2];
  }
}

/** Where the records of the chunk with this number begin. */
export function firstRecordAt(number: number): number {
  return number === 0 ? FIRST_RECORD_AT : 0;
}
