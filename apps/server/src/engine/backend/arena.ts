import { Buffer } from 'node:buffer';
import { assert } from '../platform/assert.js';
import { type ByteString } from './backend.js';
import {
  FIRST_RECORD_AT,
  LOG_HEADER_BYTES,
  RECORD_ALIGNMENT_SHIFT,
  RecordKind,
  type RedoChunk,
  SUPERSEDED,
  TABLE_HEADER_BYTES,
} from './redo-list.js';

/** 1 MiB. */
export const CHUNK_BYTES = 1 << 20;
const UNIT_SHIFT = RECORD_ALIGNMENT_SHIFT;
const CHUNK_UNIT_BITS = 17;
const CHUNK_UNIT_MASK = (1 << CHUNK_UNIT_BITS) - 1;
/** Addresses stay below 2^28, so that an address and two flags are a small integer of the JavaScript engine. */
const CHUNKS_MAX = 1 << 11;
/** Below this length a loop over the characters beats a call of `write`. */
const SHORT_KEY_BYTES = 24;

/** Views of one chunk. Invariant: `usedBytes` is a multiple of 8 and at most the length of `memory`. */
interface Chunk {
  readonly memory: SharedArrayBuffer;
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  usedBytes: number;
}

/** Chunks of dropped generations, kept for the next ones. */
export class ChunkPool {
  private readonly free: Chunk[] = [];

  /** Keeps at most `chunksMax` chunks. */
  constructor(private readonly chunksMax: number) {}

  take(): Chunk {
    return this.free.pop() ?? allocate(CHUNK_BYTES);
  }

  give(chunk: Chunk): void {
    if (chunk.memory.byteLength !== CHUNK_BYTES || this.free.length >= this.chunksMax) return;
    chunk.usedBytes = 0;
    this.free.push(chunk);
  }
}

/**
 * Writes the redo list of one generation and reads values back by address.
 *
 * An address counts units of 8 bytes: the chunk's number times 2^17, plus the unit within the chunk. A record longer
 * than a chunk gets a chunk of its own, whose number addresses its start. Address 0 belongs to no record.
 */
export class Arena {
  private readonly chunks: Chunk[] = [];
  private current: Chunk;
  /** Address of the first unit of `current`. */
  private base = 0;
  private totalBytes = 0;

  constructor(private readonly pool: ChunkPool) {
    this.current = this.addChunk(pool.take());
    this.current.usedBytes = FIRST_RECORD_AT;
  }

  /** Bytes of all records. */
  get bytes(): number {
    return this.totalBytes;
  }

  appendPut(table: number, key: ByteString, value: Uint8Array): number {
    const address = this.reserve(TABLE_HEADER_BYTES + key.length + value.length);
    const { words, bytes } = this.current;
    const word = (address - this.base) << 1;
    words[word] = RecordKind.put | (table << 8);
    words[word + 1] = key.length;
    words[word + 2] = value.length;
    const at = (word << 2) + TABLE_HEADER_BYTES;
    writeKey(bytes, key, at);
    bytes.set(value, at + key.length);
    return address;
  }

  appendDelete(table: number, key: ByteString): number {
    const address = this.reserve(TABLE_HEADER_BYTES + key.length);
    const { words, bytes } = this.current;
    const word = (address - this.base) << 1;
    words[word] = RecordKind.delete | (table << 8);
    words[word + 1] = key.length;
    words[word + 2] = 0;
    writeKey(bytes, key, (word << 2) + TABLE_HEADER_BYTES);
    return address;
  }

  appendLog(main: number, sub: number, row: Uint8Array): number {
    const address = this.reserve(LOG_HEADER_BYTES + row.length);
    const word = this.writeLogHeader(address, RecordKind.appendLog, main, sub, row.length);
    this.current.bytes.set(row, (word << 2) + LOG_HEADER_BYTES);
    return address;
  }

  appendDeleteLog(main: number, sub: number): number {
    const address = this.reserve(LOG_HEADER_BYTES);
    this.writeLogHeader(address, RecordKind.deleteLog, main, sub, 0);
    return address;
  }

  /** A later record of the list changes the key of the put at `address` once more. */
  supersede(address: number): void {
    const { words } = this.chunks[address >>> CHUNK_UNIT_BITS];
    words[(address & CHUNK_UNIT_MASK) << 1] |= SUPERSEDED;
  }

  /** The value that the put at `address` wrote, in place. */
  valueOfPut(address: number): Uint8Array {
    const { memory, words } = this.chunks[address >>> CHUNK_UNIT_BITS];
    const word = (address & CHUNK_UNIT_MASK) << 1;
    return new Uint8Array(memory, (word << 2) + TABLE_HEADER_BYTES + words[word + 1], words[word + 2]);
  }

  /** The row that the log record at `address` wrote, in place. */
  rowOfLog(address: number): Uint8Array {
    const { memory, words } = this.chunks[address >>> CHUNK_UNIT_BITS];
    const word = (address & CHUNK_UNIT_MASK) << 1;
    return new Uint8Array(memory, (word << 2) + LOG_HEADER_BYTES, words[word + 2]);
  }

  /** The list as the flush thread reads it; nothing may be appended from now on. */
  redo(): RedoChunk[] {
    return this.chunks.map(({ memory, usedBytes }) => ({ memory, usedBytes }));
  }

  /** Gives the memory back. No view of it may be used any more. */
  release(): void {
    for (const chunk of this.chunks) this.pool.give(chunk);
    this.chunks.length = 0;
  }

  private writeLogHeader(address: number, kind: number, main: number, sub: number, bytes: number): number {
    const { words } = this.current;
    const word = (address - this.base) << 1;
    words[word] = kind;
    words[word + 1] = sub;
    words[word + 2] = bytes;
    words[word + 3] = main >>> 0;
    words[word + 4] = Math.floor(main / 0x1_0000_0000);
    return word;
  }

  /** Makes room for a record in `current` and returns its address. */
  private reserve(recordBytes: number): number {
    const length = (recordBytes + 7) & ~7;
    assert(length > 0, 'a record is shorter than 2 GiB');
    let chunk = this.current;
    if (chunk.usedBytes + length > chunk.memory.byteLength) {
      chunk = this.addChunk(length > CHUNK_BYTES ? allocate(length) : this.pool.take());
    }
    const address = this.base + (chunk.usedBytes >>> UNIT_SHIFT);
    chunk.usedBytes += length;
    this.totalBytes += length;
    return address;
  }

  private addChunk(chunk: Chunk): Chunk {
    assert(this.chunks.length < CHUNKS_MAX, 'a generation outgrew its address space');
    this.base = this.chunks.length << CHUNK_UNIT_BITS;
    this.chunks.push(chunk);
    this.current = chunk;
    return chunk;
  }
}

function allocate(bytes: number): Chunk {
  const memory = new SharedArrayBuffer(bytes);
  return { memory, bytes: Buffer.from(memory), words: new Uint32Array(memory), usedBytes: 0 };
}

function writeKey(bytes: Buffer, key: ByteString, at: number): void {
  if (key.length > SHORT_KEY_BYTES) {
    bytes.write(key, at, 'latin1');
    return;
  }
  for (let i = 0; i < key.length; i++) bytes[at + i] = key.charCodeAt(i);
}
