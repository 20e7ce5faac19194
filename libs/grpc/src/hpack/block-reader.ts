import { Buffer } from 'node:buffer';
import { HpackError } from './error.js';
import { huffmanDecode } from './huffman.js';

/** Integers of header blocks are lengths, indexes and sizes; five octets after the prefix are more than any needs. */
const INTEGER_OCTETS_MAX = 5;

/** Decoded Huffman strings on their way into a string; shared, since decoding never yields. */
let scratch = Buffer.allocUnsafeSlow(4096);

/** Reads the primitives of a header block (RFC 7541 section 5) from a part of a buffer. */
export class BlockReader {
  buffer: Buffer = Buffer.alloc(0);
  /** Invariant: position <= end <= buffer.length. */
  position = 0;
  end = 0;

  /** @param stringBytesMax longest string literal that is taken, in octets as encoded. */
  constructor(private readonly stringBytesMax: number) {}

  reset(buffer: Buffer, start: number, end: number): void {
    this.buffer = buffer;
    this.position = start;
    this.end = end;
  }

  /**
   * Reads an integer with a prefix of `prefixBits` (section 5.1).
   *
   * @throws HpackError when it is cut off, longer than five octets, or above 2^31 - 1.
   */
  integer(prefixBits: number): number {
    const limit = (1 << prefixBits) - 1;
    let value = this.octet() & limit;
    if (value < limit) return value;
    let scale = 1;
    for (let count = 0; count < INTEGER_OCTETS_MAX; count++) {
      const octet = this.octet();
      value += (octet & 0x7f) * scale;
      scale *= 0x80;
      if ((octet & 0x80) !== 0) continue;
      if (value > 0x7fffffff) throw new HpackError('integer is too large');
      return value;
    }
    throw new HpackError('integer is too long');
  }

  /**
   * Reads a string literal (section 5.2) as latin1.
   *
   * @throws HpackError when it is cut off, too long, or not a Huffman string although it says so.
   */
  string(): string {
    if (this.position >= this.end) throw new HpackError('header block is cut off');
    const coded = (this.buffer[this.position] & 0x80) !== 0;
    const length = this.integer(7);
    if (length > this.stringBytesMax) throw new HpackError(`string of ${length} octets is too long`);
    if (length > this.end - this.position) throw new HpackError('header block is cut off');
    const start = this.position;
    this.position += length;
    if (!coded) return this.buffer.toString('latin1', start, this.position);
    const room = Math.ceil((length * 8) / 5);
    if (scratch.length < room) scratch = Buffer.allocUnsafeSlow(room * 2);
    return scratch.toString('latin1', 0, huffmanDecode(this.buffer, start, this.position, scratch));
  }

  private octet(): number {
    if (this.position >= this.end) throw new HpackError('header block is cut off');
    return this.buffer[this.position++];
  }
}
