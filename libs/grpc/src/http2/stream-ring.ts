import { type Stream } from './stream.js';

/** A queue of streams that take turns. Invariant: the capacity is a power of two. */
export class StreamRing {
  length = 0;
  private head = 0;
  private slots: (Stream | undefined)[] = new Array<Stream | undefined>(8).fill(undefined);

  push(stream: Stream): void {
    if (this.length === this.slots.length) this.grow();
    this.slots[(this.head + this.length) & (this.slots.length - 1)] = stream;
    this.length++;
  }

  shift(): Stream | undefined {
    if (this.length === 0) return undefined;
    const stream = this.slots[this.head];
    this.slots[this.head] = undefined;
    this.head = (this.head + 1) & (this.slots.length - 1);
    this.length--;
    return stream;
  }

  private grow(): void {
    const slots = new Array<Stream | undefined>(this.slots.length * 2).fill(undefined);
    for (let i = 0; i < this.length; i++) slots[i] = this.slots[(this.head + i) & (this.slots.length - 1)];
    this.slots = slots;
    this.head = 0;
  }
}
