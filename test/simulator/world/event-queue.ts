/** Something that happens at a moment of simulated time. */
export interface SimulatedEvent {
  readonly time: number;
  /** Of one moment: 0 what comes from outside, 1 the ends of turns. */
  readonly rank: number;
  readonly tie: number;
  /** Unique, ascending. */
  readonly order: number;
  readonly label: string;
  readonly run: () => void;
  cancelled: boolean;
}

function isBefore(a: SimulatedEvent, b: SimulatedEvent): boolean {
  if (a.time !== b.time) return a.time < b.time;
  if (a.rank !== b.rank) return a.rank < b.rank;
  return a.tie === b.tie ? a.order < b.order : a.tie < b.tie;
}

/** A binary heap. Invariant: no event is before its parent at `(place - 1) >> 1`. */
export class EventQueue {
  private readonly heap: SimulatedEvent[] = [];

  get size(): number {
    return this.heap.length;
  }

  push(event: SimulatedEvent): void {
    const { heap } = this;
    let place = heap.length;
    heap.push(event);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!isBefore(event, heap[parent])) break;
      heap[place] = heap[parent];
      place = parent;
    }
    heap[place] = event;
  }

  pop(): SimulatedEvent | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || last === first) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[place] = heap[child];
      place = child;
    }
    heap[place] = last;
    return first;
  }
}
