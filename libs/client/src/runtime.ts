import { performance } from 'node:perf_hooks';

/** A timer that was set; `cancel` is idempotent and may be called from within its own callback. */
export interface Timer {
  cancel(): void;
}

/**
 * All time that the SDK sees. Durations are compared on the monotonic clock; the wall clock is a second witness for
 * leases (it goes on while the machine sleeps, the monotonic clock of Linux does not) and stamps for people.
 */
export interface Clock {
  /** Milliseconds with a fraction; never goes back; its zero means nothing. */
  monotonic(): number;
  /** Milliseconds since the Unix epoch; may jump in both directions. */
  wall(): number;
  /**
   * Calls back once, not before `delayMs` have passed on the monotonic clock. `keepProcess` (default false) says
   * whether the pending timer alone keeps the process running.
   */
  setTimer(delayMs: number, callback: () => void, keepProcess?: boolean): Timer;
}

/** Everything that the SDK takes from its surroundings; the simulator and the tests have their own. */
export interface Runtime {
  readonly clock: Clock;
  /** A number in [0, 1). Used for jitter only, never for secrets. */
  random(): number;
}

/** setTimeout counts in a signed 32-bit integer; a longer delay would fire at once. */
const longestTimeoutMs = 2 ** 31 - 1;

class NodeTimer implements Timer {
  private handle: NodeJS.Timeout | undefined;

  constructor(
    private readonly dueAtMs: number,
    private readonly callback: () => void,
    private readonly keepProcess: boolean,
  ) {
    this.arm();
  }

  private arm(): void {
    const remainingMs = Math.max(0, this.dueAtMs - performance.now());
    const handle = setTimeout(() => this.fire(), Math.min(Math.ceil(remainingMs), longestTimeoutMs));
    if (!this.keepProcess) handle.unref();
    this.handle = handle;
  }

  private fire(): void {
    // Node fires up to a millisecond early, and very long delays are waited for in pieces.
    if (performance.now() < this.dueAtMs) return this.arm();
    this.handle = undefined;
    this.callback();
  }

  cancel(): void {
    clearTimeout(this.handle);
  }
}

/** The production runtime: Node's clocks, timers and generator of random numbers. */
export const nodeRuntime: Runtime = {
  clock: {
    monotonic: () => performance.now(),
    wall: () => Date.now(),
    setTimer: (delayMs, callback, keepProcess = false) =>
      new NodeTimer(performance.now() + delayMs, callback, keepProcess),
  },
  random: () => Math.random(),
};

/** Resolves in a later turn of the event loop, after everything that is ready now was handled. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A moment, in milliseconds since the Unix epoch, as a Date: of its argument and of no clock. */
export function dateAt(epochMs: number): Date {
  return new Date(epochMs);
}
