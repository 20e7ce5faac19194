import { Buffer } from 'node:buffer';

/**
 * A writer of protobuf fields for the answers that are assembled by hand: those that copy stored bytes rather than
 * decode and encode them again. Zero values are left out, as proto3 does. The buffer grows as needed; `take` hands it
 * over and starts anew.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/
 */
export class WireWriter {
  private buffer: Buffer;
  private position = 0;

  constructor(private readonly initialBytes = 256) {
    this.buffer = Buffer.allocUnsafe(initialBytes);
  }

  /** Bytes written since the last `take`. */
  get length(): number {
    return this.position;
  }

  /** An unsigned or non-negative integer field; `value` is a safe integer. */
  uint(field: number, value: number): this {
    if (value === 0) return this;
    this.reserve(20);
    this.tag(field, 0);
    this.varint(value);
    return this;
  }

  /** An int64 or uint64 field: a negative value takes ten bytes, as two's complement. */
  bigint(field: number, value: bigint): this {
    if (value === 0n) return this;
    this.reserve(20);
    this.tag(field, 0);
    this.bigVarint(BigInt.asUintN(64, value));
    return this;
  }

  bool(field: number, value: boolean): this {
    return this.uint(field, value ? 1 : 0);
  }

  /** A bytes, string (already UTF-8) or embedded message field; empty bytes are left out. */
  bytes(field: number, value: Uint8Array): this {
    return value.length === 0 ? this : this.message(field, value);
  }

  /** An embedded message or a repeated element: written even when empty. */
  message(field: number, value: Uint8Array): this {
    this.reserve(20 + value.length);
    this.tag(field, 2);
    this.varint(value.length);
    this.buffer.set(value, this.position);
    this.position += value.length;
    return this;
  }

  /** A UTF-8 string field; an empty string is left out. */
  string(field: number, value: string): this {
    return value === '' ? this : this.message(field, Buffer.from(value, 'utf8'));
  }

  /** Fields that are already encoded. */
  raw(fields: Uint8Array): this {
    this.reserve(fields.length);
    this.buffer.set(fields, this.position);
    this.position += fields.length;
    return this;
  }

  /** What was written so far. The writer starts anew and never touches these bytes again. */
  take(): Buffer {
    const written = this.buffer.subarray(0, this.position);
    this.buffer = Buffer.allocUnsafe(this.initialBytes);
    this.position = 0;
    return written;
  }

  private tag(field: number, wireType: number): void {
    this.varint(field * 8 + wireType);
  }

  private varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.buffer[this.position++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.buffer[this.position++] = rest;
  }

  private bigVarint(value: bigint): void {
    let rest = value;
    while (rest > 0x7fn) {
      this.buffer[this.position++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.buffer[this.position++] = Number(rest);
  }

  private reserve(bytes: number): void {
    const needed = this.position + bytes;
    if (needed <= this.buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(grown, 0, 0, this.position);
    this.buffer = grown;
  }
}
