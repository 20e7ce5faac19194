import { Buffer } from 'node:buffer';
import { BlockWriter, type HuffmanUse } from './block-writer.js';
import { fieldSize } from './dynamic-table.js';
import { EncoderTable } from './encoder-table.js';
import { checkFields, type Indexing, indexingOf } from './field-policy.js';
import { PreparedHeaders } from './prepared-headers.js';
import { STATIC_BY_NAME, STATIC_ENTRIES } from './static-table.js';

/** Prepared blocks whose indexed form is remembered; more are forgotten all at once. */
const MEMO_ENTRIES_MAX = 64;

interface Memo {
  readonly generation: number;
  readonly bytes: Buffer;
}

/**
 * Encodes header blocks of one direction of a connection (RFC 7541). Blocks must be sent in the order in which they were
 * encoded, each exactly once.
 *
 * Invariant: `pendingMin <= pendingSize` while a size update is owed to the peer (`pendingSize >= 0`).
 */
export class HpackEncoder {
  /** The block encoded last is `writer.buffer[0, writer.length)`, until the next call of {@link encode}. */
  readonly writer: BlockWriter;
  private readonly table: EncoderTable;
  private readonly memos = new Map<PreparedHeaders, Memo>();
  private pendingSize = -1;
  private pendingMin = -1;

  /**
   * @param tableSizeMax our own limit of the dynamic table, octets, whatever the peer allows.
   * @param indexing which names go into the dynamic table.
   */
  constructor(
    private readonly tableSizeMax = 4096,
    private readonly indexing: (name: string) => Indexing = indexingOf,
    huffman: HuffmanUse = 'shorter',
  ) {
    this.writer = new BlockWriter(huffman);
    this.table = new EncoderTable(4096);
    if (tableSizeMax < 4096) this.setPeerTableSize(4096);
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. The next block tells the peer what we use (RFC 7541 section 4.2). */
  setPeerTableSize(size: number): void {
    const target = Math.min(size, this.tableSizeMax);
    if (this.pendingSize < 0 && target === this.table.maxSize) return;
    this.pendingMin = this.pendingSize < 0 ? target : Math.min(this.pendingMin, target);
    this.pendingSize = target;
  }

  /** Whether the next block must begin with a size update, so that prepared octets alone would be wrong. */
  get owesSizeUpdate(): boolean {
    return this.pendingSize >= 0;
  }

  /**
   * Encodes one block into {@link writer}.
   *
   * @param extra further fields behind `headers`.
   * @throws RangeError when a field is not latin1 or a name has no value; nothing has been encoded then.
   */
  encode(headers: PreparedHeaders | readonly string[], extra?: readonly string[]): void {
    this.writer.clear();
    // Checked before anything is written: an exception halfway would leave the peer's table out of step with ours.
    if (!(headers instanceof PreparedHeaders)) checkFields(headers);
    if (extra !== undefined) checkFields(extra);
    if (this.pendingSize >= 0) this.writeSizeUpdates();
    if (!(headers instanceof PreparedHeaders)) this.writeFields(headers);
    else if (headers.indexed) this.writeIndexed(headers);
    else this.writer.bytes(headers.bytes);
    if (extra !== undefined) this.writeFields(extra);
  }

  private writeSizeUpdates(): void {
    if (this.pendingMin < this.pendingSize) {
      this.table.resize(this.pendingMin);
      this.writer.integer(0x20, 5, this.pendingMin);
    }
    this.table.resize(this.pendingSize);
    this.writer.integer(0x20, 5, this.pendingSize);
    this.pendingSize = -1;
    this.pendingMin = -1;
  }

  /** The octets of a block that inserts nothing are the same until something else is inserted. */
  private writeIndexed(headers: PreparedHeaders): void {
    const generation = this.table.generation;
    const memo = this.memos.get(headers);
    if (memo?.generation === generation) {
      this.writer.bytes(memo.bytes);
      return;
    }
    const start = this.writer.length;
    this.writeFields(headers.fields);
    if (this.table.generation !== generation) return;
    if (this.memos.size >= MEMO_ENTRIES_MAX) this.memos.clear();
    this.memos.set(headers, {
      generation,
      bytes: Buffer.from(this.writer.buffer.subarray(start, this.writer.length)),
    });
  }

  private writeFields(fields: readonly string[]): void {
    for (let i = 0; i < fields.length; i += 2) this.writeField(fields[i], fields[i + 1]);
  }

  private writeField(name: string, value: string): void {
    const writer = this.writer;
    const known = STATIC_BY_NAME.get(name);
    const indexing = this.indexing(name);
    if (indexing === 'never') return this.writeLiteral(0x10, 4, this.nameIndex(name), name, value);
    const index = known?.values.get(value);
    if (index !== undefined) return writer.integer(0x80, 7, index);
    const position = this.table.findField(name, value);
    if (position >= 0) return writer.integer(0x80, 7, STATIC_ENTRIES + 1 + position);
    // A field that would take most of the table is not worth what it evicts.
    const fits = fieldSize(name, value) * 2 <= this.table.maxSize;
    if (indexing === 'without' || !fits) return this.writeLiteral(0x00, 4, this.nameIndex(name), name, value);
    this.writeLiteral(0x40, 6, this.nameIndex(name), name, value);
    this.table.insert(name, value);
  }

  private writeLiteral(
    flags: number,
    prefixBits: number,
    nameIndex: number,
    name: string,
    value: string,
  ): void {
    this.writer.integer(flags, prefixBits, nameIndex);
    if (nameIndex === 0) this.writer.string(name);
    this.writer.string(value);
  }

  private nameIndex(name: string): number {
    const known = STATIC_BY_NAME.get(name);
    if (known !== undefined) return known.index;
    const position = this.table.findName(name);
    return position < 0 ? 0 : STATIC_ENTRIES + 1 + position;
  }
}
