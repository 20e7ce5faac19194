/**
 * The work of one application under locks and leaderships, which its shutdown waits for.
 *
 * Invariant: `takesRuns` turns false before `stopping` aborts, and neither turns back.
 */
export class ApplicationWork {
  private readonly stop = new AbortController();
  private readonly running = new Set<Promise<unknown>>();
  private isTaking = true;

  /** Aborts when the work should come to its end, while what it runs under is still held. */
  readonly stopping: AbortSignal = this.stop.signal;

  /** False from the beginning of the shutdown on: schedules begin nothing any more. */
  get takesRuns(): boolean {
    return this.isTaking;
  }

  /** The same promise, waited for until it settles. */
  track<T>(work: Promise<T>): Promise<T> {
    const settled: Promise<unknown> = work.then(
      () => this.running.delete(settled),
      () => this.running.delete(settled),
    );
    this.running.add(settled);
    return work;
  }

  takeNoMoreRuns(): void {
    this.isTaking = false;
  }

  tellToStop(reason: Error): void {
    this.isTaking = false;
    this.stop.abort(reason);
  }

  /** Resolves when nothing runs, nor what began while this waited. */
  async settled(): Promise<void> {
    while (this.running.size > 0) await Promise.all(this.running);
  }
}
