/** A timer that was set; `cancel` is idempotent and may be called from within its own callback. */
export interface Timer {
  cancel(): void;
}

/**
 * All time that the engine sees. The production clock is `node-clock.ts`; the simulator has its own.
 * `now()` never goes back and does not follow changes of the wall clock: every deadline is computed with it.
 * `wall()` is only for log stamps and other things that people read.
 */
export interface Clock {
  /** Monotonic milliseconds, with a fraction. */
  now(): number;
  /** Milliseconds since the Unix epoch. */
  wall(): number;
  /** Calls back once, not before `delayMs` have passed. */
  after(delayMs: number, callback: () => void): Timer;
  /**
   * Calls back once, after everything that is ready now was handled: the end of the current turn. All input that
   * arrives within one turn is thereby handled as one batch.
   */
  defer(callback: () => void): void;
}
