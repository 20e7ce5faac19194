import { type Clock, type Timer } from './clock.js';

/** The longest delay that the runtime's timers take; they fire at once for a longer one. */
const delayMsMax = 2 ** 31 - 1;

class NodeTimer implements Timer {
  private handle: NodeJS.Timeout | undefined;

  constructor(
    private readonly dueMs: number,
    private readonly callback: () => void,
  ) {
    this.arm();
  }

  cancel(): void {
    clearTimeout(this.handle);
    this.handle = undefined;
  }

  private arm(): void {
    const delayMs = Math.min(Math.max(this.dueMs - performance.now(), 0), delayMsMax);
    this.handle = setTimeout(() => this.fire(), Math.ceil(delayMs));
  }

  /** Timers may fire a little early, and only in steps of the longest delay. */
  private fire(): void {
    if (performance.now() < this.dueMs) return this.arm();
    this.handle = undefined;
    this.callback();
  }
}

/** The system's time. `defer` is the runtime's check phase, which follows the input of a turn. */
export class NodeClock implements Clock {
  now(): number {
    return performance.now();
  }

  wall(): number {
    return Date.now();
  }

  after(delayMs: number, callback: () => void): Timer {
    return new NodeTimer(performance.now() + delayMs, callback);
  }

  defer(callback: () => void): void {
    setImmediate(callback);
  }
}
