import { type Clock } from '../runtime.js';

/** A budget that was not used is kept for so many seconds. */
const keptSeconds = 10;

/**
 * Bounds the repeats of all calls of a client together (a token bucket), so that clients do not multiply the load of a
 * cluster that is in trouble. First attempts cost nothing.
 *
 * Invariant: `left` is between 0 and the capacity.
 */
export class RetryBudget {
  private left: number;
  private countedAt: number;

  constructor(
    private readonly perSecond: number,
    private readonly clock: Clock,
  ) {
    this.left = perSecond * keptSeconds;
    this.countedAt = clock.monotonic();
  }

  /** True: the repeat may be made, and counts. */
  take(): boolean {
    const now = this.clock.monotonic();
    const gained = ((now - this.countedAt) / 1_000) * this.perSecond;
    this.left = Math.min(this.perSecond * keptSeconds, this.left + gained);
    this.countedAt = now;
    if (this.left < 1) return false;
    this.left -= 1;
    return true;
  }
}
