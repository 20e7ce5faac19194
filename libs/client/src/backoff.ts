import { type Runtime } from './runtime.js';

export interface BackoffOptions {
  /** Upper bound of the first delay, in milliseconds. */
  readonly baseMs: number;
  /** No delay is longer, in milliseconds. */
  readonly maxMs: number;
  /**
   * `full`: uniform in [0, min(max, base·2^n)), which spreads a crowd of clients best. `decorrelated`: uniform in
   * [base, 3·previous), never shorter than the base. Both from "Exponential Backoff And Jitter" (AWS, 2015).
   */
  readonly jitter: 'full' | 'decorrelated';
}

export const defaultBackoff: BackoffOptions = { baseMs: 100, maxMs: 5_000, jitter: 'full' };

/** The delays between attempts. `reset` after a success that has lasted. */
export class Backoff {
  private attempts = 0;
  private previousMs: number;

  constructor(
    private readonly options: BackoffOptions,
    private readonly random: Runtime['random'],
  ) {
    this.previousMs = options.baseMs;
  }

  /** Attempts since the last reset. */
  get attempt(): number {
    return this.attempts;
  }

  /** The next delay, in milliseconds. */
  next(): number {
    const { baseMs, maxMs, jitter } = this.options;
    this.attempts += 1;
    if (jitter === 'full') {
      // 2^30 milliseconds are twelve days: beyond it only the cap counts, and the power stays exact.
      return this.random() * Math.min(maxMs, baseMs * 2 ** Math.min(this.attempts - 1, 30));
    }
    this.previousMs = Math.min(maxMs, baseMs + this.random() * Math.max(0, this.previousMs * 3 - baseMs));
    return this.previousMs;
  }

  reset(): void {
    this.attempts = 0;
    this.previousMs = this.options.baseMs;
  }
}
