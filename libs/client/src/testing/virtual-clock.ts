import { nextTurn, type Clock, type Timer } from '../runtime.js';

interface PendingTimer {
  readonly dueAtMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A clock that moves only when it is told to. Both its clocks move together, unless a test sets them apart. */
export class VirtualClock implements Clock {
  private nowMs = 0;
  private wallOffsetMs = Date.UTC(2026, 0, 1);
  private order = 0;
  private readonly pending = new Set<PendingTimer>();

  monotonic(): number {
    return this.nowMs;
  }

  wall(): number {
    return this.nowMs + this.wallOffsetMs;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    this.order += 1;
    const timer: PendingTimer = { dueAtMs: this.nowMs + Math.max(0, delayMs), order: this.order, callback };
    this.pending.add(timer);
    return { cancel: () => this.pending.delete(timer) };
  }

  /** Timers that are set and have not fired. */
  get timers(): number {
    return this.pending.size;
  }

  /** Lets the time pass: timers fire in order, and all work that they cause is done before the next one. */
  async advance(ms: number): Promise<void> {
    const until = this.nowMs + ms;
    await this.settle();
    for (let next = this.nextUntil(until); next !== undefined; next = this.nextUntil(until)) {
      this.nowMs = Math.max(this.nowMs, next.dueAtMs);
      this.pending.delete(next);
      next.callback();
      await this.settle();
    }
    this.nowMs = until;
    await this.settle();
  }

  /** Lets all work that needs no time be done. */
  async settle(): Promise<void> {
    // Each turn runs all microtasks; chains through the in-memory store take a few turns at most.
    for (let turn = 0; turn < 8; turn += 1) await nextTurn();
  }

  /**
   * The time passes while nothing of this process runs, as when its event loop is blocked: what is due fires only with
   * the next {@link advance}, after whatever became ready meanwhile.
   */
  stall(ms: number): void {
    this.nowMs += ms;
  }

  /** The machine sleeps: only the wall clock goes on. Negative: the wall clock is set back. */
  jumpWall(ms: number): void {
    this.wallOffsetMs += ms;
  }

  private nextUntil(until: number): PendingTimer | undefined {
    let next: PendingTimer | undefined;
    for (const timer of this.pending) {
      if (timer.dueAtMs > until) continue;
      if (next === undefined || timer.dueAtMs < next.dueAtMs) next = timer;
      else if (timer.dueAtMs === next.dueAtMs && timer.order < next.order) next = timer;
    }
    return next;
  }
}
