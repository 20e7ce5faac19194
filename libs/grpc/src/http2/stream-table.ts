import { type Stream } from './stream.js';

const CAPACITY_MIN = 8;

/**
 * The open streams of a connection by identifier: open addressing with linear probing. Identifiers of one side ascend in
 * steps of two, so most streams lie in their own slot.
 *
 * Not a Map: one through which entries pass at a high rate abandons its table again and again, each abandoned table refers
 * to the next, and once one of them is old the young collector takes all that follow for live, with every stream in them.
 *
 * Invariants: the capacity is a power of two; at most half of the slots are taken; between a stream's own slot and the slot
 * where it lies none is free.
 */
export class StreamTable {
  size = 0;
  private slots = freeSlots(CAPACITY_MIN);

  get(id: number): Stream | undefined {
    return this.slots[this.find(id)];
  }

  /** Adds a stream whose identifier is not in the table. */
  add(stream: Stream): void {
    if (++this.size * 2 > this.slots.length) this.grow();
    this.slots[this.find(stream.id)] = stream;
  }

  delete(id: number): void {
    const { slots } = this;
    const mask = slots.length - 1;
    let free = this.find(id);
    if (slots[free] === undefined) return;
    this.size--;
    // Streams behind it that could not lie further ahead move up, so that no search ends before it has found them.
    for (let at = (free + 1) & mask; slots[at] !== undefined; at = (at + 1) & mask) {
      const own = (slots[at]!.id >>> 1) & mask;
      if (((at - own) & mask) < ((at - free) & mask)) continue;
      slots[free] = slots[at];
      free = at;
    }
    slots[free] = undefined;
  }

  clear(): void {
    this.size = 0;
    this.slots = freeSlots(CAPACITY_MIN);
  }

  /** The streams of this moment in ascending order of their identifiers. */
  all(): Stream[] {
    const streams = this.slots.filter((stream) => stream !== undefined);
    return streams.sort((a, b) => a.id - b.id);
  }

  /** The slot that holds the stream, or the free one where it would lie. */
  private find(id: number): number {
    const { slots } = this;
    const mask = slots.length - 1;
    let at = (id >>> 1) & mask;
    for (let stream = slots[at]; stream !== undefined && stream.id !== id; stream = slots[at]) {
      at = (at + 1) & mask;
    }
    return at;
  }

  private grow(): void {
    const before = this.slots;
    this.slots = freeSlots(before.length * 2);
    for (const stream of before) if (stream !== undefined) this.slots[this.find(stream.id)] = stream;
  }
}

function freeSlots(capacity: number): (Stream | undefined)[] {
  return new Array<Stream | undefined>(capacity).fill(undefined);
}
