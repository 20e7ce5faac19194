import type { Clock, Timer } from '../platform/clock.js';

/**
 * Ticks at an interval. A late tick lets in first what arrived meanwhile, so that a process that was stalled does not
 * take its own delay for the silence of others. Ticks that were missed are not made up for.
 */
export class Ticker {
  private timer: Timer | undefined;
  private isStopped = false;

  constructor(
    private readonly clock: Clock,
    private readonly intervalMs: number,
    private readonly tick: () => void,
  ) {}

  start(): void {
    const { clock, intervalMs } = this;
    const dueAt = clock.now() + intervalMs;
    this.timer = clock.after(intervalMs, () => {
      if (clock.now() - dueAt < intervalMs) this.fire();
      else clock.defer(() => this.fire());
    });
  }

  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
  }

  private fire(): void {
    if (this.isStopped) return;
    this.tick();
    if (!this.isStopped) this.start();
  }
}
