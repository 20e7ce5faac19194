import { wireBytesMax } from './message-codec.js';
import { type Lane, type WireMessage } from './message-kinds.js';

/**
 * Messages that wait for their stream, in order and bounded in bytes.
 *
 * When there is no room, an urgent queue gives up its oldest messages: a newer heartbeat or vote says more than an
 * older one. A bulk queue gives up the newest: entries are of no use to a member that lacks those before them.
 *
 * Invariant: `bytes` is the sum of the sizes of what waits, at most `bytesMax` unless a single message exceeds it.
 */
export class OutgoingQueue {
  #waiting: WireMessage[] = [];
  #sizes: number[] = [];
  #head = 0;
  #bytes = 0;

  constructor(
    private readonly lane: Lane,
    private readonly bytesMax: number,
  ) {}

  get length(): number {
    return this.#waiting.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a message; `dropped` is told of each one that had to go for want of room, this one or older ones. */
  push(message: WireMessage, dropped: (message: WireMessage) => void): void {
    const size = wireBytesMax(message);
    if (this.lane === 'bulk' && this.length > 0 && this.#bytes + size > this.bytesMax) {
      dropped(message);
      return;
    }
    this.#waiting.push(message);
    this.#sizes.push(size);
    this.#bytes += size;
    while (this.length > 1 && this.#bytes > this.bytesMax) dropped(this.#shift());
  }

  /** Takes the oldest messages, up to `bytesMax` together and at least one. Empty when none waits. */
  take(bytesMax: number): WireMessage[] {
    const taken: WireMessage[] = [];
    let bytes = 0;
    while (this.length > 0) {
      bytes += this.#sizes[this.#head] as number;
      if (taken.length > 0 && bytes > bytesMax) break;
      taken.push(this.#shift());
    }
    return taken;
  }

  clear(): void {
    this.#waiting = [];
    this.#sizes = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  #shift(): WireMessage {
    const message = this.#waiting[this.#head] as WireMessage;
    this.#bytes -= this.#sizes[this.#head] as number;
    this.#head++;
    if (this.#head === this.#waiting.length) this.clear();
    else if (this.#head >= 256 && this.#head * 2 >= this.#waiting.length) {
      // Forget what is out, at a cost that its number has paid for.
      this.#waiting.splice(0, this.#head);
      this.#sizes.splice(0, this.#head);
      this.#head = 0;
    }
    return message;
  }
}
