import { type Clock, type Timer } from '../../../apps/server/src/engine/platform/clock.js';
import { type Gate } from './gate.js';
import { type Schedule } from './schedule.js';

/** A moment in 2026, so that a confusion of the two clocks shows. */
const epochMs = 1_770_000_000_000;

/** How a machine's monotonic clock differs from true time. */
export interface ClockError {
  readonly offsetMs: number;
  /** Its seconds per true second: 1.01 is a clock that is fast by 1 %. */
  readonly rate: number;
}

/** The clock of one process. It dies with it: no callback comes after its gate was halted. */
export class SimulatedClock implements Clock {
  private defers = 0;

  constructor(
    private readonly schedule: Schedule,
    private readonly gate: Gate,
    private readonly error: ClockError,
    /** What the wall clock was set forward or back by, in ms. */
    private readonly wallOffset: () => number,
    /** By how much the counter-th turn ends late: the event loop stalls. */
    private readonly stallOf: (counter: number) => number,
  ) {}

  now(): number {
    return this.error.offsetMs + this.schedule.now * this.error.rate;
  }

  wall(): number {
    return epochMs + this.schedule.now + this.wallOffset();
  }

  after(delayMs: number, callback: () => void): Timer {
    let isCancelled = false;
    const event = this.schedule.after(delayMs / this.error.rate, 'timer', () => {
      this.gate.pass(() => {
        if (!isCancelled) callback();
      });
    });
    return {
      cancel: () => {
        isCancelled = true;
        event.cancelled = true;
      },
    };
  }

  defer(callback: () => void): void {
    this.schedule.atTurnEnd(this.stallOf(++this.defers), () => this.gate.pass(callback));
  }
}
