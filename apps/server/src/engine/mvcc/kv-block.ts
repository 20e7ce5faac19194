import { Buffer } from 'node:buffer';
import { StoredKeyValue } from './key-value.js';
import { varintSize, VarintReader, writeVarint } from './varint.js';

/** Tag of `RangeResponse.kvs` (and of `DeleteRangeResponse.prev_kvs` plus one): field 2, length-delimited. */
const TAG_KVS = 0x12;
const INITIAL_BYTES = 512;

/**
 * KeyValues back to back, each with the tag and length that it has inside a RangeResponse, so that the whole block is
 * copied into an answer at once. It owns its bytes.
 */
export class KvBlock {
  length = 0;
  private buffer: Buffer;
  private used = 0;

  constructor(expectedBytes = INITIAL_BYTES) {
    this.buffer = Buffer.allocUnsafe(expectedBytes);
  }

  get encoded(): Uint8Array {
    return this.buffer.subarray(0, this.used);
  }

  get byteLength(): number {
    return this.used;
  }

  /** Copies one KeyValue's bytes. */
  append(source: Uint8Array, start: number, end: number): void {
    const bytes = end - start;
    this.reserve(1 + varintSize(bytes) + bytes);
    this.buffer[this.used] = TAG_KVS;
    this.used = writeVarint(this.buffer, this.used + 1, bytes);
    this.buffer.set(start === 0 && end === source.length ? source : source.subarray(start, end), this.used);
    this.used += bytes;
    this.length++;
  }

  /** The entries as objects that look into this block. */
  entries(): StoredKeyValue[] {
    const entries: StoredKeyValue[] = [];
    const reader = new VarintReader();
    reader.reset(this.buffer, 0, this.used);
    while (!reader.done) {
      reader.at++;
      const bytes = reader.next();
      entries.push(new StoredKeyValue(this.buffer, reader.at, reader.at + bytes));
      reader.at += bytes;
    }
    return entries;
  }

  private reserve(bytes: number): void {
    if (this.used + bytes <= this.buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.used + bytes));
    this.buffer.copy(grown, 0, 0, this.used);
    this.buffer = grown;
  }
}
