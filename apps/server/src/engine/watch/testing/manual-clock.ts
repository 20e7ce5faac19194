import { type Clock, type Timer } from '../../platform/clock.js';

interface Waiting {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that stands still until it is told to move on. */
export class ManualClock implements Clock {
  private time = 0;
  private waiting: Waiting[] = [];

  now(): number {
    return this.time;
  }

  wall(): number {
    return this.time;
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer = { at: this.time + delayMs, callback };
    this.waiting.push(timer);
    return {
      cancel: () => {
        this.waiting = this.waiting.filter((other) => other !== timer);
      },
    };
  }

  defer(callback: () => void): void {
    this.after(0, callback);
  }

  /** Number of timers that are set. */
  get timers(): number {
    return this.waiting.length;
  }

  /** Moves on, calling back what becomes due, in order. */
  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const due = this.waiting
        .filter((timer) => timer.at <= end)
        .sort((left, right) => left.at - right.at)[0];
      if (due === undefined) break;
      this.time = Math.max(this.time, due.at);
      this.waiting = this.waiting.filter((timer) => timer !== due);
      due.callback();
    }
    this.time = end;
  }
}
