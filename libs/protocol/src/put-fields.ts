/** Thrown for bytes that are not a protobuf message. */
export class MalformedMessageError extends Error {
  override readonly name = 'MalformedMessageError';
}

/** The factor of a sixth byte, which a number of 32 bits does not have. */
const varintFactorEnd = 2 ** 35;

/**
 * The fields of an etcdserverpb.PutRequest, found in place: nothing is copied or allocated, so that one instance can
 * read request after request. A put is decoded twice (when it is checked and when it is applied), on the hottest path
 * there is; the generated decoder makes a dozen objects each time.
 *
 * Reads what the generated decoder reads: the last of repeated fields counts, unknown fields are skipped.
 */
export class PutFields {
  bytes: Buffer = Buffer.alloc(0);
  keyStart = 0;
  keyEnd = 0;
  valueStart = 0;
  valueEnd = 0;
  lease = 0n;
  prevKv = false;
  ignoreValue = false;
  ignoreLease = false;
  private position = 0;

  /** @param start Where the message begins; it ends with the bytes. @throws MalformedMessageError */
  read(bytes: Uint8Array, start = 0): this {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.keyStart = this.keyEnd = this.valueStart = this.valueEnd = 0;
    this.lease = 0n;
    this.prevKv = this.ignoreValue = this.ignoreLease = false;
    this.position = start;
    while (this.position < bytes.length) this.readField(this.varint());
    return this;
  }

  get keyLength(): number {
    return this.keyEnd - this.keyStart;
  }

  get valueLength(): number {
    return this.valueEnd - this.valueStart;
  }

  /** The key with one character per byte. */
  get key(): string {
    return this.bytes.toString('latin1', this.keyStart, this.keyEnd);
  }

  /** A view of the value. */
  get value(): Buffer {
    return this.bytes.subarray(this.valueStart, this.valueEnd);
  }

  private readField(tag: number): void {
    switch (tag) {
      case 0x0a:
        this.keyEnd = this.skipBytes();
        this.keyStart = this.position - this.lastLength;
        return;
      case 0x12:
        this.valueEnd = this.skipBytes();
        this.valueStart = this.position - this.lastLength;
        return;
      case 0x18:
        this.lease = BigInt.asIntN(64, this.bigVarint());
        return;
      case 0x20:
        this.prevKv = this.bool();
        return;
      case 0x28:
        this.ignoreValue = this.bool();
        return;
      case 0x30:
        this.ignoreLease = this.bool();
        return;
      default:
        this.skip(tag);
    }
  }

  private lastLength = 0;

  /** Moves behind a length-delimited field and returns where it ends. */
  private skipBytes(): number {
    this.lastLength = this.varint();
    this.position += this.lastLength;
    if (this.position > this.bytes.length) throw new MalformedMessageError('a field ends behind the message');
    return this.position;
  }

  private bool(): boolean {
    return this.bigVarint() !== 0n;
  }

  /** A varint of up to 32 bits: tags and lengths. */
  private varint(): number {
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

  private bigVarint(): bigint {
    const { bytes } = this;
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.position >= bytes.length) throw new MalformedMessageError('a number ends behind the message');
      const byte = bytes[this.position++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new MalformedMessageError('a number has more than 64 bits');
  }

  private skip(tag: number): void {
    if (tag >>> 3 === 0) throw new MalformedMessageError('field number 0');
    switch (tag & 7) {
      case 0:
        this.bigVarint();
        return;
      case 1:
        this.advance(8);
        return;
      case 2:
        this.skipBytes();
        return;
      case 5:
        this.advance(4);
        return;
      default:
        throw new MalformedMessageError(`wire type ${tag & 7} is not in use`);
    }
  }

  private advance(bytes: number): void {
    this.position += bytes;
    if (this.position > this.bytes.length) throw new MalformedMessageError('a field ends behind the message');
  }
}
