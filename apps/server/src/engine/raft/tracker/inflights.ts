import { assert } from '../../platform/assert.js';

/**
 * The appends on the way to one member, oldest first: for each the last index it carries and its bytes. Bounded in
 * count and in bytes; a single message over the byte limit may still travel alone.
 *
 * Invariants: 0 <= count <= maxMessages; `bytes` is the sum over the window; last indexes strictly increase.
 */
export class Inflights {
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  /** A ring that grows by doubling up to `maxMessages`. */
  #lastIndexes: number[] = [];
  #sizes: number[] = [];
  #start = 0;
  #count = 0;
  #bytes = 0;

  constructor(maxMessages: number, maxBytes: number) {
    this.#maxMessages = maxMessages;
    this.#maxBytes = maxBytes;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  isFull(): boolean {
    return this.#count >= this.#maxMessages || (this.#count > 0 && this.#bytes >= this.#maxBytes);
  }

  add(lastIndex: number, bytes: number): void {
    assert(!this.isFull(), 'nothing is sent into a full window');
    if (this.#count === this.#lastIndexes.length) this.#grow();
    const capacity = this.#lastIndexes.length;
    if (this.#count > 0) {
      const newest = this.#lastIndexes[(this.#start + this.#count - 1) % capacity]!;
      assert(lastIndex > newest, 'messages in flight go forward');
    }
    const slot = (this.#start + this.#count) % capacity;
    this.#lastIndexes[slot] = lastIndex;
    this.#sizes[slot] = bytes;
    this.#count += 1;
    this.#bytes += bytes;
  }

  /** Everything that ends at or below `index` has arrived. */
  freeUpTo(index: number): void {
    const capacity = this.#lastIndexes.length;
    while (this.#count > 0 && this.#lastIndexes[this.#start]! <= index) {
      this.#bytes -= this.#sizes[this.#start]!;
      this.#start = (this.#start + 1) % capacity;
      this.#count -= 1;
    }
    assert(this.#count > 0 || this.#bytes === 0, 'an empty window has no bytes');
  }

  clear(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  #grow(): void {
    const capacity = this.#lastIndexes.length;
    const wider = Math.min(Math.max(capacity * 2, 8), this.#maxMessages);
    const lastIndexes = new Array<number>(wider).fill(0);
    const sizes = new Array<number>(wider).fill(0);
    for (let offset = 0; offset < this.#count; offset += 1) {
      lastIndexes[offset] = this.#lastIndexes[(this.#start + offset) % capacity]!;
      sizes[offset] = this.#sizes[(this.#start + offset) % capacity]!;
    }
    this.#lastIndexes = lastIndexes;
    this.#sizes = sizes;
    this.#start = 0;
  }
}
