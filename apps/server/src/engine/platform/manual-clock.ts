import { type Clock, type Timer } from './clock.js';

interface Waiting {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A clock that moves only when it is told to. Timers of one moment fire in the order in which they were set. */
export class ManualClock implements Clock {
  private nowMs = 0;
  private order = 0;
  private readonly waiting = new Set<Waiting>();

  now(): number {
    return this.nowMs;
  }

  wall(): number {
    return this.nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer = { dueMs: this.nowMs + delayMs, order: this.order++, callback };
    this.waiting.add(timer);
    return { cancel: () => this.waiting.delete(timer) };
  }

  defer(callback: () => void): void {
    this.after(0, callback);
  }

  /** Number of timers that are set. */
  get pending(): number {
    return this.waiting.size;
  }

  /** Fires the next timer and moves to its time; false when none is set. */
  step(): boolean {
    let next: Waiting | undefined;
    for (const timer of this.waiting) {
      const isEarlier =
        next === undefined ||
        timer.dueMs < next.dueMs ||
        (timer.dueMs === next.dueMs && timer.order < next.order);
      if (isEarlier) next = timer;
    }
    if (next === undefined) return false;
    this.waiting.delete(next);
    this.nowMs = Math.max(this.nowMs, next.dueMs);
    next.callback();
    return true;
  }

  /** Moves `ms` forward and fires what is due, in order. */
  advance(ms: number): void {
    const until = this.nowMs + ms;
    for (;;) {
      const due = [...this.waiting].some((timer) => timer.dueMs <= until);
      if (!due) break;
      this.step();
    }
    this.nowMs = until;
  }
}
