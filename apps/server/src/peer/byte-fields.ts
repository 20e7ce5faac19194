import { Buffer } from 'node:buffer';

/** Bytes from a peer do not follow their layout. */
export class MalformedMessageError extends Error {
  override readonly name = 'MalformedMessageError';
}

/** Most bytes that a counter takes: 53 bits in groups of seven. */
export const counterBytesMax = 8;

/**
 * Writes fields into one buffer. Counters are safe integers in groups of seven bits, least significant first (LEB128);
 * identities and hashes are eight bytes, little-endian.
 *
 * Invariant: `at` never exceeds the size that the writer was made with; whoever makes it computes a bound first.
 */
export class FieldWriter {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(sizeMax: number) {
    this.#buffer = Buffer.allocUnsafe(sizeMax);
  }

  get at(): number {
    return this.#at;
  }

  /** What was written, as a view. */
  get written(): Uint8Array {
    return this.#buffer.subarray(0, this.#at);
  }

  byte(value: number): void {
    this.#buffer[this.#at++] = value;
  }

  uint32(value: number): void {
    this.#at = this.#buffer.writeUInt32LE(value, this.#at);
  }

  /** Fills in a 32-bit number that was left out before. */
  patchUint32(at: number, value: number): void {
    this.#buffer.writeUInt32LE(value, at);
  }

  counter(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#at++] = rest;
  }

  uint64(value: bigint): void {
    this.#at = this.#buffer.writeBigUInt64LE(value, this.#at);
  }

  raw(bytes: Uint8Array): void {
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** Bytes behind their length. */
  bytes(bytes: Uint8Array): void {
    this.counter(bytes.length);
    this.raw(bytes);
  }
}

/**
 * Reads fields one after another. Every read is checked against the end first, and every count against what is left,
 * before anything is made of it. Byte fields are views.
 */
export class FieldCursor {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#buffer.length - this.#at;
  }

  byte(): number {
    return this.#buffer[this.#take(1)] as number;
  }

  uint32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  counter(): number {
    let value = 0;
    let scale = 1;
    for (let taken = 0; taken < counterBytesMax; taken++) {
      const next = this.byte();
      value += (next & 0x7f) * scale;
      if (next < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      scale *= 0x80;
    }
    throw new MalformedMessageError('a counter exceeds 2^53');
  }

  uint64(): bigint {
    return this.#buffer.readBigUInt64LE(this.#take(8));
  }

  flag(): boolean {
    const value = this.byte();
    if (value > 1) throw new MalformedMessageError('a flag is neither 0 nor 1');
    return value === 1;
  }

  /** The number of things of at least `leastBytes` each that follow. */
  count(leastBytes: number): number {
    const value = this.counter();
    if (value * leastBytes > this.remaining)
      throw new MalformedMessageError('a list is longer than its bytes');
    return value;
  }

  raw(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }

  bytes(): Uint8Array {
    return this.raw(this.count(1));
  }

  finish(): void {
    if (this.remaining !== 0) throw new MalformedMessageError('bytes follow the last field');
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.remaining) throw new MalformedMessageError('the bytes end within a field');
    this.#at = at + length;
    return at;
  }
}
