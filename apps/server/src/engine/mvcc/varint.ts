import { CorruptionError } from './storage-errors.js';

/**
 * Base-128 varints as protobuf writes them (https://protobuf.dev/programming-guides/encoding/#varints): seven bits per
 * byte, least significant group first, the top bit says that more follow. Revisions and counters are safe integers and
 * stay numbers; leases use all 64 bits and are bigint.
 */
const WORD = 0x1_0000_0000;

/** Number of bytes that {@link writeVarint} needs. `value` is a safe integer from 0. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  if (value < 0x8_0000_0000) return 5;
  if (value < 0x400_0000_0000) return 6;
  if (value < 0x2_0000_0000_0000) return 7;
  return 8;
}

/** Writes `value`, a safe integer from 0, and returns the position behind it. */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  let rest = value;
  while (rest > 0x7fff_ffff) {
    target[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest > 0x7f) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}

/** Number of bytes that {@link writeVarint64} needs. Negative values are written as two's complement: ten bytes. */
export function varint64Size(value: bigint): number {
  if (value >= 0n && value < 0x20_0000_0000_0000n) return varintSize(Number(value));
  let size = 1;
  for (let rest = BigInt.asUintN(64, value) >> 7n; rest > 0n; rest >>= 7n) size++;
  return size;
}

/** Writes a 64-bit value, signed or unsigned, and returns the position behind it. */
export function writeVarint64(target: Uint8Array, at: number, value: bigint): number {
  if (value >= 0n && value < 0x20_0000_0000_0000n) return writeVarint(target, at, Number(value));
  const bits = BigInt.asUintN(64, value);
  let low = Number(bits & 0xffff_ffffn);
  let high = Number(bits >> 32n);
  while (high > 0 || low > 0x7f) {
    target[at++] = (low & 0x7f) | 0x80;
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  target[at++] = low;
  return at;
}

/** Reads varints one after the other. One instance is pointed at many rows, so that reading allocates nothing. */
export class VarintReader {
  private bytes: Uint8Array = new Uint8Array(0);
  /** Where the next value starts. */
  at = 0;
  private end = 0;

  /** Continues at `at`; values must end before `end`. */
  reset(bytes: Uint8Array, at: number, end: number): void {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  /** @throws CorruptionError when the value is cut short or no safe integer. */
  next(): number {
    const { bytes, end } = this;
    let at = this.at;
    let value = 0;
    let scale = 1;
    for (;;) {
      if (at >= end) throw new CorruptionError('a varint is cut short');
      const byte = bytes[at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
      if (scale > 0x2_0000_0000_0000) throw new CorruptionError('a varint is longer than a safe integer');
    }
    if (value > Number.MAX_SAFE_INTEGER) throw new CorruptionError('a varint is no safe integer');
    this.at = at;
    return value;
  }

  /** Reads a value of 64 bits as a signed number. @throws CorruptionError when it is cut short or longer. */
  next64(): bigint {
    const { bytes, end } = this;
    let at = this.at;
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      if (at >= end) throw new CorruptionError('a 64-bit varint is cut short');
      if (shift > 63) throw new CorruptionError('a varint is longer than 64 bits');
      const byte = bytes[at++];
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) break;
    }
    this.at = at;
    low >>>= 0;
    high >>>= 0;
    if (high < 0x20_0000) return BigInt(high * WORD + low);
    return BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low));
  }
}
