const two32 = 2 ** 32;

/**
 * Fields of stored structures: little-endian, one after another. Counters (indexes, terms, sequence numbers) are safe integers, stored
 * in 64 bits; identities are bigint.
 */
export function writeUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, (value / two32) >>> 0, true);
}

/** NaN when the stored value is not a safe integer. */
export function readUint64(view: DataView, at: number): number {
  const value = view.getUint32(at + 4, true) * two32 + view.getUint32(at, true);
  return Number.isSafeInteger(value) ? value : Number.NaN;
}

/** Is thrown when bytes do not follow their layout. With a right checksum that means a faulty writer. */
export class MalformedFieldError extends Error {
  override readonly name = 'MalformedFieldError';
}

/** Reads fields one after another; every read is checked against the end first, every count before anything is made of it. */
export class FieldReader {
  private readonly view: DataView;
  private at = 0;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  uint32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  counter(): number {
    const value = readUint64(this.view, this.take(8));
    if (Number.isNaN(value)) throw new MalformedFieldError('a counter exceeds 2^53');
    return value;
  }

  id(): bigint {
    return this.view.getBigUint64(this.take(8), true);
  }

  /** A boolean in 32 bits. */
  flag(): boolean {
    const value = this.uint32();
    if (value > 1) throw new MalformedFieldError('a flag is neither 0 nor 1');
    return value === 1;
  }

  /** A count of at most `max`, in 32 bits. */
  count(max: number): number {
    const value = this.uint32();
    if (value > max) throw new MalformedFieldError(`a list of ${value} is longer than ${max}`);
    return value;
  }

  /** A view, not a copy. */
  data(length: number): Uint8Array {
    const at = this.take(length);
    return this.bytes.subarray(at, at + length);
  }

  get remaining(): number {
    return this.bytes.length - this.at;
  }

  finish(): void {
    if (this.remaining !== 0) throw new MalformedFieldError('bytes follow the last field');
  }

  private take(bytes: number): number {
    const at = this.at;
    if (bytes > this.remaining) throw new MalformedFieldError('the bytes end within a field');
    this.at = at + bytes;
    return at;
  }
}
