import { Buffer } from 'node:buffer';
import { huffmanEncode, huffmanLength } from './huffman.js';

/** When strings are Huffman coded; `shorter`: only where that saves octets. */
export type HuffmanUse = 'shorter' | 'always' | 'never';

/** Writes the primitives of header blocks (RFC 7541 section 5) into a buffer of its own that grows. */
export class BlockWriter {
  buffer = Buffer.allocUnsafeSlow(256);
  length = 0;

  constructor(private readonly huffman: HuffmanUse = 'shorter') {}

  /** Forgets what was written; the buffer is used again. */
  clear(): void {
    this.length = 0;
  }

  /** Writes an integer with a prefix of `prefixBits`; the bits above are `flags` (section 5.1). */
  integer(flags: number, prefixBits: number, value: number): void {
    this.reserve(8);
    const limit = (1 << prefixBits) - 1;
    if (value < limit) {
      this.buffer[this.length++] = flags | value;
      return;
    }
    this.buffer[this.length++] = flags | limit;
    let rest = value - limit;
    while (rest >= 0x80) {
      this.buffer[this.length++] = (rest & 0x7f) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.buffer[this.length++] = rest;
  }

  /** Writes a string literal of latin1 characters (section 5.2). */
  string(text: string): void {
    const coded = this.huffman === 'never' ? Infinity : huffmanLength(text);
    this.reserve((this.huffman === 'always' ? coded : text.length) + 8);
    if (coded < text.length || this.huffman === 'always') {
      this.integer(0x80, 7, coded);
      this.length = huffmanEncode(text, this.buffer, this.length);
    } else {
      this.integer(0, 7, text.length);
      this.length += this.buffer.write(text, this.length, text.length, 'latin1');
    }
  }

  /** Appends octets that are already encoded. */
  bytes(encoded: Uint8Array): void {
    this.reserve(encoded.length);
    this.buffer.set(encoded, this.length);
    this.length += encoded.length;
  }

  /** A copy of what was written. */
  copy(): Buffer {
    return Buffer.from(this.buffer.subarray(0, this.length));
  }

  private reserve(octets: number): void {
    const needed = this.length + octets;
    if (needed <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }
}
