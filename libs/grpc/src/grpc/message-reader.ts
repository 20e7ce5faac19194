/** Why a byte stream is no sequence of gRPC messages that we take. */
export type MessageFault = 'too-large' | 'bad-flag';

/** A message that must not be read; the stream is of no use afterwards. */
export class MessageReadError extends Error {
  override readonly name = 'MessageReadError';

  constructor(
    readonly fault: MessageFault,
    message: string,
  ) {
    super(message);
  }
}

/** Length of the prefix of a message: one flag byte and a big-endian u32. */
export const prefixBytes = 5;

/** A message that is incomplete gets this much memory at first, and doubles: a claimed length alone costs nothing. */
const firstBodyBytes = 16_384;

/**
 * Cuts the DATA of one stream into messages: prefix of five bytes (compressed flag, length), then the message (gRPC
 * over HTTP/2, "Length-Prefixed-Message"). Messages may be split over DATA frames and frames may hold many messages.
 *
 * Use: `push(view)`, then `next()` until it gives undefined. A message that lies whole in the view is given as a part
 * of it, without a copy. The view may be reused after `settle()`, which copies what is left of it.
 *
 * Invariant: while `#body` is set, `#bodyFilled < #length` and the prefix is complete; `#length <= maxBytes`.
 */
export class MessageReader {
  #chunk: Uint8Array = empty;
  #offset = 0;
  /** Bytes of an incomplete prefix. */
  #prefix: Uint8Array | undefined;
  #prefixFilled = 0;
  #body: Uint8Array | undefined;
  #bodyFilled = 0;
  #length = 0;
  #compressed = false;

  constructor(private readonly maxBytes: number) {}

  /** The flag of the message that `next` gave last. */
  get compressed(): boolean {
    return this.#compressed;
  }

  /** True when the stream may end here: no part of a message is waiting. */
  get isBetweenMessages(): boolean {
    return this.#offset === this.#chunk.length && this.#prefixFilled === 0 && this.#body === undefined;
  }

  /** Adds bytes. What was pushed before must have been pulled with `next`, or settled. */
  push(view: Uint8Array): void {
    if (this.#offset === this.#chunk.length) {
      this.#chunk = view;
    } else {
      const rest = this.#chunk.length - this.#offset;
      const joined = new Uint8Array(rest + view.length);
      joined.set(this.#chunk.subarray(this.#offset));
      joined.set(view, rest);
      this.#chunk = joined;
    }
    this.#offset = 0;
  }

  /** Makes this reader independent of the view that was pushed last. */
  settle(): void {
    if (this.#offset === this.#chunk.length) this.#chunk = empty;
    else this.#chunk = new Uint8Array(this.#chunk.subarray(this.#offset));
    this.#offset = 0;
  }

  /**
   * The next whole message, or undefined when more bytes are needed.
   *
   * @throws MessageReadError
   */
  next(): Uint8Array | undefined {
    if (this.#body === undefined) {
      if (!this.#readPrefix()) return undefined;
      if (this.#chunk.length - this.#offset >= this.#length) {
        const message = this.#chunk.subarray(this.#offset, this.#offset + this.#length);
        this.#offset += this.#length;
        return message;
      }
      this.#body = new Uint8Array(Math.min(this.#length, firstBodyBytes));
      this.#bodyFilled = 0;
    }
    return this.#fillBody();
  }

  #readPrefix(): boolean {
    const available = this.#chunk.length - this.#offset;
    if (this.#prefixFilled === 0 && available >= prefixBytes) {
      this.#parsePrefix(this.#chunk, this.#offset);
      this.#offset += prefixBytes;
      return true;
    }
    if (available === 0) return false;
    this.#prefix ??= new Uint8Array(prefixBytes);
    const taken = Math.min(available, prefixBytes - this.#prefixFilled);
    this.#prefix.set(this.#chunk.subarray(this.#offset, this.#offset + taken), this.#prefixFilled);
    this.#prefixFilled += taken;
    this.#offset += taken;
    if (this.#prefixFilled < prefixBytes) return false;
    this.#prefixFilled = 0;
    this.#parsePrefix(this.#prefix, 0);
    return true;
  }

  #parsePrefix(bytes: Uint8Array, at: number): void {
    const flag = bytes[at] as number;
    if (flag > 1) throw new MessageReadError('bad-flag', `grpc: received unexpected payload format ${flag}`);
    this.#compressed = flag === 1;
    this.#length =
      (bytes[at + 1] as number) * 0x1000000 +
      (((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 8) | (bytes[at + 4] as number));
    if (this.#length > this.maxBytes) {
      throw new MessageReadError('too-large', messageTooLarge(this.#length, this.maxBytes));
    }
  }

  #fillBody(): Uint8Array | undefined {
    let body = this.#body as Uint8Array;
    const taken = Math.min(this.#chunk.length - this.#offset, this.#length - this.#bodyFilled);
    const filled = this.#bodyFilled + taken;
    if (filled > body.length) {
      const larger = new Uint8Array(Math.min(this.#length, Math.max(body.length * 2, filled)));
      larger.set(body.subarray(0, this.#bodyFilled));
      body = larger;
      this.#body = larger;
    }
    body.set(this.#chunk.subarray(this.#offset, this.#offset + taken), this.#bodyFilled);
    this.#offset += taken;
    this.#bodyFilled = filled;
    if (filled < this.#length) return undefined;
    this.#body = undefined;
    return body;
  }
}

const empty = new Uint8Array(0);

/** The text that grpc-go uses and that etcd's clients show. */
export function messageTooLarge(length: number, maxBytes: number): string {
  return `grpc: received message larger than max (${length} vs. ${maxBytes})`;
}

/** Writes the prefix of a message of `length` bytes. */
export function writePrefix(target: Uint8Array, at: number, compressed: boolean, length: number): void {
  target[at] = compressed ? 1 : 0;
  target[at + 1] = length >>> 24;
  target[at + 2] = length >>> 16;
  target[at + 3] = length >>> 8;
  target[at + 4] = length;
}
