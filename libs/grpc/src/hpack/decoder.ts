import { type Buffer } from 'node:buffer';
import { BlockReader } from './block-reader.js';
import { DynamicTable, fieldSize } from './dynamic-table.js';
import { HpackError } from './error.js';
import { STATIC_ENTRIES, STATIC_NAMES, STATIC_VALUES } from './static-table.js';

/** Limits of a decoder, in octets. */
export interface DecoderLimits {
  /** Largest dynamic table that the peer may use after our SETTINGS are in force. */
  readonly tableSizeMax: number;
  /** Largest header list: names + values + 32 per field. What is beyond is decoded but not returned. */
  readonly headerListBytesMax: number;
  /** Longest string literal, as encoded. */
  readonly stringBytesMax: number;
}

/** At most this many size updates may begin a block (RFC 7541 section 4.2). */
const SIZE_UPDATES_MAX = 2;

/**
 * Decodes header blocks of one direction of a connection (RFC 7541), in the order in which they arrived. After an error
 * the decoder must not be used any more.
 */
export class HpackDecoder {
  /** The block decoded last was larger than `headerListBytesMax`; its list of fields is cut. */
  truncated = false;
  /** The block decoded last referred to entries of the dynamic table, so it means this only at this generation. */
  usedDynamicTable = false;
  private readonly table = new DynamicTable(4096);
  private readonly reader: BlockReader;
  /** What the peer may choose as table size; the initial value holds until our SETTINGS are acknowledged. */
  private allowedSize = 4096;
  /** Our SETTINGS made the allowed size smaller than the table: the next block must begin with an update. */
  private sizeUpdateOwed = false;
  private listBytes = 0;
  private fields: string[] = [];

  constructor(private readonly limits: DecoderLimits) {
    this.reader = new BlockReader(limits.stringBytesMax);
  }

  /** Changes with every change of the dynamic table. */
  get generation(): number {
    return this.table.generation;
  }

  /** The next block must begin with a size update, whatever follows. */
  get owesUpdate(): boolean {
    return this.sizeUpdateOwed;
  }

  /** The peer has acknowledged our SETTINGS_HEADER_TABLE_SIZE. */
  settingsAcknowledged(): void {
    this.allowedSize = this.limits.tableSizeMax;
    this.sizeUpdateOwed = this.table.maxSize > this.allowedSize;
  }

  /**
   * Decodes the block `buffer[start, end)` to names and values in turn (latin1).
   *
   * @throws HpackError when the block is not valid.
   */
  decode(buffer: Buffer, start: number, end: number): string[] {
    const reader = this.reader;
    reader.reset(buffer, start, end);
    const fields: string[] = [];
    this.fields = fields;
    this.listBytes = 0;
    this.truncated = false;
    this.usedDynamicTable = false;
    this.sizeUpdates();
    while (reader.position < end) {
      const octet = buffer[reader.position];
      if (octet >= 0x80) this.indexed();
      else if (octet >= 0x40) this.literal(6, true);
      else if (octet >= 0x20) throw new HpackError('size update inside of a header block');
      else this.literal(4, false);
    }
    return fields;
  }

  /** Size updates stand at the beginning of a block only (RFC 7541 section 4.2). */
  private sizeUpdates(): void {
    const reader = this.reader;
    for (let count = 0; reader.position < reader.end; count++) {
      if ((reader.buffer[reader.position] & 0xe0) !== 0x20) break;
      const size = reader.integer(5);
      if (count === SIZE_UPDATES_MAX) throw new HpackError('too many size updates');
      if (size > this.allowedSize)
        throw new HpackError(`size update to ${size}, ${this.allowedSize} are allowed`);
      this.table.resize(size);
      this.sizeUpdateOwed = false;
    }
    if (this.sizeUpdateOwed) throw new HpackError('a size update was due');
  }

  private indexed(): void {
    const index = this.reader.integer(7);
    if (index === 0) throw new HpackError('index 0');
    this.add(this.nameAt(index), this.valueAt(index));
  }

  private literal(prefixBits: number, insert: boolean): void {
    const index = this.reader.integer(prefixBits);
    const name = index === 0 ? this.reader.string() : this.nameAt(index);
    const value = this.reader.string();
    if (insert) this.table.insert(name, value);
    this.add(name, value);
  }

  private nameAt(index: number): string {
    if (index <= STATIC_ENTRIES) return STATIC_NAMES[index];
    const position = index - STATIC_ENTRIES - 1;
    if (position >= this.table.length) throw new HpackError(`index ${index} is beyond the tables`);
    this.usedDynamicTable = true;
    return this.table.name(position);
  }

  private valueAt(index: number): string {
    if (index <= STATIC_ENTRIES) return STATIC_VALUES[index];
    return this.table.value(index - STATIC_ENTRIES - 1);
  }

  private add(name: string, value: string): void {
    this.listBytes += fieldSize(name, value);
    if (this.listBytes > this.limits.headerListBytesMax) this.truncated = true;
    else this.fields.push(name, value);
  }
}
