import { Buffer } from 'node:buffer';

/** Thrown for bytes that are not a protobuf message. */
export class MalformedMessageError extends Error {
  override readonly name = 'MalformedMessageError';
}

/** The factor of a sixth byte, which a number of 32 bits does not have. */
const varintFactorEnd = 2 ** 35;
/** The factor of an eighth byte: the seven before it are 49 bits, which a JavaScript number holds exactly. */
const exactFactorEnd = 2 ** 49;

/**
 * Finds protobuf fields in place, for the messages on hot paths: the generated decoders make a dozen objects for each.
 *
 * Invariant: `position` <= the length of `bytes` after every call that returns.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/
 */
export class WireReader {
  bytes: Buffer = Buffer.alloc(0);
  protected position = 0;

  /** Continues at `start` of other bytes. */
  protected point(bytes: Uint8Array, start: number): void {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.position = start;
  }

  protected bool(): boolean {
    return this.uint64() !== 0n;
  }

  /** A varint of up to 32 bits: tags and lengths. */
  protected varint(): number {
    const { bytes } = this;
    let value = 0;
    for (let factor = 1; factor < varintFactorEnd; factor *= 0x80) {
      if (this.position >= bytes.length) throw new MalformedMessageError('a number ends behind the message');
      const byte = bytes[this.position++];
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    throw new MalformedMessageError('a tag or length has more than 32 bits');
  }

  protected int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  protected uint64(): bigint {
    const { bytes, position } = this;
    let value = 0;
    for (let factor = 1; factor < exactFactorEnd; factor *= 0x80) {
      if (this.position >= bytes.length) throw new MalformedMessageError('a number ends behind the message');
      const byte = bytes[this.position++];
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return BigInt(value);
    }
    this.position = position;
    return this.longUint64();
  }

  /** In two halves of 32 bits: 28 bits of four bytes, four bits of a fifth, and the rest. */
  private longUint64(): bigint {
    const { bytes } = this;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.position >= bytes.length) throw new MalformedMessageError('a number ends behind the message');
      const byte = bytes[this.position++];
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    }
    throw new MalformedMessageError('a number has more than 64 bits');
  }

  /** Moves behind what is left of a field whose tag was read. */
  protected skip(tag: number): void {
    if (tag >>> 3 === 0) throw new MalformedMessageError('field number 0');
    switch (tag & 7) {
      case 0:
        this.longUint64();
        return;
      case 1:
        this.advance(8);
        return;
      case 2:
        this.advance(this.varint());
        return;
      case 5:
        this.advance(4);
        return;
      default:
        throw new MalformedMessageError(`wire type ${tag & 7} is not in use`);
    }
  }

  protected advance(bytes: number): void {
    this.position += bytes;
    if (this.position > this.bytes.length) throw new MalformedMessageError('a field ends behind the message');
  }
}
