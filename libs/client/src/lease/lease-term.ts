import { type LossReason } from '../errors.js';
import { type Clock } from '../runtime.js';

/**
 * Two clocks that agree this well did not jump: the wall clock is read in whole milliseconds, and time synchronisation
 * makes it run a little faster or slower.
 */
const clockToleranceMs = 100;

/** One moment on both clocks. */
export interface Stamp {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export function stampOf(clock: Clock): Stamp {
  return { monotonicMs: clock.monotonic(), wallMs: clock.wall() };
}

/**
 * How long this process may believe in a lease: until the sending of the last acknowledged request + the granted TTL −
 * the margin. Counted from sending, because the server started its own count after that; by two clocks, because the
 * monotonic one may stand still while the machine sleeps and the wall clock may be set. Whichever says first that the
 * term is over is right.
 */
export class LeaseTerm {
  private sent: Stamp;
  private ttlMs: number;

  constructor(
    private readonly clock: Clock,
    readonly marginMs: number,
    sent: Stamp,
    ttlMs: number,
  ) {
    this.sent = sent;
    this.ttlMs = ttlMs;
  }

  /** The TTL that the server granted last, in milliseconds. */
  get grantedMs(): number {
    return this.ttlMs;
  }

  /** An acknowledgement arrived for the request sent at `sent`. An older one than the last never shortens the term. */
  renew(sent: Stamp, ttlMs: number): void {
    if (sent.monotonicMs + ttlMs < this.sent.monotonicMs + this.ttlMs) return;
    this.sent = sent;
    this.ttlMs = ttlMs;
  }

  /** Milliseconds left on the stricter clock; 0 or less: over. */
  remainingMs(): number {
    return Math.min(this.monotonicRemainingMs(), this.wallRemainingMs());
  }

  /** The end on the monotonic clock, in its milliseconds. */
  deadline(): number {
    return this.clock.monotonic() + this.remainingMs();
  }

  /** Why the term is over, or undefined while it is not. */
  over(): LossReason | undefined {
    if (this.monotonicRemainingMs() <= 0) return 'lease-expired-local';
    if (this.wallRemainingMs() > 0) return undefined;
    return this.monotonicRemainingMs() <= clockToleranceMs ? 'lease-expired-local' : 'clock-jump';
  }

  private monotonicRemainingMs(): number {
    return this.sent.monotonicMs + this.ttlMs - this.marginMs - this.clock.monotonic();
  }

  private wallRemainingMs(): number {
    return this.sent.wallMs + this.ttlMs - this.marginMs - this.clock.wall();
  }
}
