import { type Buffer } from 'node:buffer';
import { WireReader } from './wire-reader.js';

/**
 * The fields of an etcdserverpb.PutRequest, found in place: nothing is copied or allocated, so that one instance can
 * read request after request. A put is decoded twice (when it is checked and when it is applied), on the hottest path
 * there is; the generated decoder makes a dozen objects each time.
 *
 * Reads what the generated decoder reads: the last of repeated fields counts, unknown fields are skipped.
 */
export class PutFields extends WireReader {
  keyStart = 0;
  keyEnd = 0;
  valueStart = 0;
  valueEnd = 0;
  lease = 0n;
  prevKv = false;
  ignoreValue = false;
  ignoreLease = false;
  private lastLength = 0;

  /** @param start Where the message begins; it ends with the bytes. @throws MalformedMessageError */
  read(bytes: Uint8Array, start = 0): this {
    this.point(bytes, start);
    this.keyStart = this.keyEnd = this.valueStart = this.valueEnd = 0;
    this.lease = 0n;
    this.prevKv = this.ignoreValue = this.ignoreLease = false;
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
        this.lease = this.int64();
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

  /** Moves behind a length-delimited field and returns where it ends. */
  private skipBytes(): number {
    this.lastLength = this.varint();
    this.advance(this.lastLength);
    return this.position;
  }
}
