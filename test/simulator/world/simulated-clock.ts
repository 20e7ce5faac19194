import { type Clock, type Timer } from '../../../apps/server/src/engine/platform/clock.js';
import { type Schedule } from './schedule.js';

/** A moment in 2026, so that a confusion of the two clocks shows. */
const epochMs = 1_770_000_000_000;

/** The clock of one process. It dies with it: no callback comes after `halt`. */
export class SimulatedClock implements Clock {
  private halted = false;
  private defers = 0;

  constructor(
    private readonly schedule: Schedule,
    /** What the wall clock was set forward or back by, in ms. */
    private readonly wallOffset: () => number,
    /** By how much the counter-th turn ends late: the event loop stalls. */
    private readonly stallOf: (counter: number) => number,
  ) {}

  halt(): void {
    this.halted = true;
  }

  now(): number {
    return this.schedule.now;
  }

  wall(): number {
    return epochMs + this.schedule.now + this.wallOffset();
  }

  after(delayMs: number, callback: () => void): Timer {
    const event = this.schedule.after(delayMs, 'timer', () => {
      if (!this.halted) callback();
    });
    return { cancel: () => (event.cancelled = true) };
  }

  defer(callback: () => void): void {
    this.schedule.atTurnEnd(this.stallOf(++this.defers), () => {
      if (!this.halted) callback();
    });
  }
}
