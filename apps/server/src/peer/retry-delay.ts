import { type Runtime } from '@conclave/grpc';

/**
 * Pauses between attempts to connect: none before the first, then doubling from `firstMs` to `longestMs`, each shortened
 * at random by up to half, so that members that lost each other at once do not come back at once.
 */
export class RetryDelay {
  #attempts = 0;

  constructor(
    private readonly runtime: Runtime,
    private readonly firstMs: number,
    private readonly longestMs: number,
  ) {}

  /** Attempts since the last success. */
  get attempts(): number {
    return this.#attempts;
  }

  /** The pause before the next attempt, milliseconds. */
  next(): number {
    const attempts = this.#attempts++;
    if (attempts === 0) return 0;
    const full = Math.min(this.firstMs * 2 ** Math.min(attempts - 1, 30), this.longestMs);
    return full * (1 - this.runtime.random() / 2);
  }

  /** The other side is there, since it calls us: the next attempt comes soon. */
  heard(): void {
    this.#attempts = Math.min(this.#attempts, 1);
  }

  /** The other side speaks with us: the next attempt comes at once. */
  succeeded(): void {
    this.#attempts = 0;
  }

  /** The other side does not want to speak with us: asking often does not help. */
  refused(): void {
    this.#attempts = Math.max(this.#attempts, 30);
  }
}
