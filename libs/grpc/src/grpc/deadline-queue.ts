import { type Runtime, type Timer } from '../runtime.js';

/** Something that must end by a point in time. */
export interface Expiring {
  /** On the clock of {@link Runtime.now}, in milliseconds. Does not change while the entry is queued. */
  readonly deadline: number;
  /** True once it has ended by itself; the queue then only drops it. */
  readonly isSettled: boolean;
  /** Called once, when the deadline has passed and it is not settled. Makes it settled, with {@link DeadlineQueue.noteSettled}. */
  expire(): void;
}

/** Below this many entries the queue is not swept: not worth the work. */
const sweepEntriesMin = 1_024;

/**
 * The deadlines of all calls of a server or channel with a single timer: a binary heap whose finished entries are
 * removed lazily. A timer per call would cost more than the whole of a trivial unary call's bookkeeping.
 *
 * Invariant: `heap[i].deadline <= heap[2i+1].deadline` and `heap[2i+2].deadline`; the timer is set for a time at or
 * before the smallest deadline whenever the heap is not empty; at least half of the entries are live after a sweep.
 */
export class DeadlineQueue {
  #heap: Expiring[] = [];
  #settledCount = 0;
  #timer: Timer | undefined;
  #timerDeadline = Infinity;

  constructor(private readonly runtime: Runtime) {}

  get size(): number {
    return this.#heap.length;
  }

  add(entry: Expiring): void {
    this.#heap.push(entry);
    this.#siftUp(this.#heap.length - 1);
    if (entry.deadline < this.#timerDeadline) this.#arm();
  }

  /** Tells that an entry that was added has just become settled; once per entry. Amortised constant time. */
  noteSettled(): void {
    this.#settledCount++;
    if (this.#heap.length >= sweepEntriesMin && this.#settledCount * 2 > this.#heap.length) this.#sweep();
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerDeadline = Infinity;
    this.#heap = [];
    this.#settledCount = 0;
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerDeadline = Infinity;
    const first = this.#heap[0];
    if (first === undefined) return;
    this.#timerDeadline = first.deadline;
    this.#timer = this.runtime.after(first.deadline - this.runtime.now(), () => this.#fire());
  }

  #fire(): void {
    this.#timer = undefined;
    this.#timerDeadline = Infinity;
    const now = this.runtime.now();
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (!first.isSettled && first.deadline > now) break;
      this.#removeFirst();
      if (!first.isSettled) first.expire();
      this.#settledCount = Math.max(0, this.#settledCount - 1);
    }
    this.#arm();
  }

  #removeFirst(): void {
    const last = this.#heap.pop() as Expiring;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#siftDown(0);
  }

  #sweep(): void {
    this.#heap = this.#heap.filter((entry) => !entry.isSettled);
    this.#settledCount = 0;
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#siftDown(i);
    if (this.#heap.length === 0) this.#arm();
  }

  #siftUp(start: number): void {
    const heap = this.#heap;
    const entry = heap[start] as Expiring;
    let index = start;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex] as Expiring;
      if (parent.deadline <= entry.deadline) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = entry;
  }

  #siftDown(start: number): void {
    const heap = this.#heap;
    const entry = heap[start] as Expiring;
    let index = start;
    for (;;) {
      let childIndex = 2 * index + 1;
      if (childIndex >= heap.length) break;
      const right = heap[childIndex + 1];
      if (right !== undefined && right.deadline < (heap[childIndex] as Expiring).deadline) childIndex++;
      const child = heap[childIndex] as Expiring;
      if (child.deadline >= entry.deadline) break;
      heap[index] = child;
      index = childIndex;
    }
    heap[index] = entry;
  }
}
