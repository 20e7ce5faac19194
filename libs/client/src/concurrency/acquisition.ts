import { pause, settledWithin } from '../cancellation.js';
import { type Duration, durationMs } from '../duration.js';
import { isConclaveError, LeaseExpiredError, LockTimeoutError } from '../errors.js';
import { type Value } from '../key-range.js';
import { Claim } from './claim.js';
import { type ConcurrencyContext } from './context.js';
import { type Place } from './local-queue.js';
import { type Session } from './session.js';

export interface AcquireOptions {
  /** How long to wait; default `'forever'`. 0: only if it is free now. */
  readonly wait?: Duration | 'forever';
  readonly signal?: AbortSignal;
  /** Told how many stand before, in the store's queue, whenever that may have changed. */
  readonly onQueued?: (ahead: number) => void;
}

/** What is to be acquired, and with which session. */
export interface Target {
  readonly what: string;
  readonly prefix: string;
  readonly value: Value;
  readonly ttlMs: number;
  readonly marginMs: number;
  /** The caller's own session; otherwise the client's shared one for this TTL. */
  readonly session: Session | undefined;
}

/** What was acquired: the claim owns, and `done` gives back the places that it takes in this process. */
export interface Acquired {
  readonly claim: Claim;
  readonly done: () => void;
}

/** A caller that gives up is let go after so many milliseconds, even if its key is not deleted yet. */
const cleanUpGraceMs = 1_000;

/** One attempt to acquire, from the local queue to the ownership. */
export class Acquisition {
  private readonly stop = new AbortController();

  constructor(
    private readonly context: ConcurrencyContext,
    private readonly target: Target,
  ) {}

  /**
   * Waits in this process, then in the store. A shared session that is lost meanwhile is replaced, and the claim begins
   * again at the end of the queue.
   *
   * @throws LockTimeoutError, CancelledError, ClosedError, or LeaseExpiredError for the caller's own session (rejects);
   *   the key is deleted or being deleted then.
   */
  async acquire(options: AcquireOptions): Promise<Acquired> {
    const { wait = 'forever' } = options;
    if (wait !== 'forever' && durationMs(wait, 'wait') === 0) {
      const acquired = await this.tryAcquire(options);
      if (acquired !== null) return acquired;
      throw new LockTimeoutError(`${this.target.what} is taken`);
    }
    return this.within(options, async () => {
      const place = await this.context.queues.enter(this.queueName(), this.stop.signal);
      return this.contendUntilOwner(place, options);
    });
  }

  /** Null when somebody else holds it or waits for it. */
  async tryAcquire(options: Omit<AcquireOptions, 'wait'>): Promise<Acquired | null> {
    return this.within({ ...options, wait: 'forever' }, async () => {
      const place = this.context.queues.tryEnter(this.queueName());
      if (place === undefined) return null;
      return this.contend(place, (claim) => claim.enqueueIfFree(this.stop.signal));
    });
  }

  /** Runs with the reasons to stop connected: the caller's signal, the time limit, the closing of the client. */
  private async within<T>(options: AcquireOptions, run: () => Promise<T>): Promise<T> {
    const { signal, wait = 'forever' } = options;
    const { clock, closing } = this.context;
    const onAbort = (): void => this.stop.abort(signal?.reason);
    const onClosing = (): void => this.stop.abort(closing.reason);
    if (signal?.aborted === true) onAbort();
    if (closing.aborted) onClosing();
    signal?.addEventListener('abort', onAbort, { once: true });
    closing.addEventListener('abort', onClosing, { once: true });
    const waitMs = wait === 'forever' ? undefined : durationMs(wait, 'wait');
    const late = (): void =>
      this.stop.abort(new LockTimeoutError(`${this.target.what} did not become free in ${waitMs} ms`));
    const timer = waitMs === undefined ? undefined : clock.setTimer(waitMs, late);
    try {
      return await run();
    } finally {
      timer?.cancel();
      signal?.removeEventListener('abort', onAbort);
      closing.removeEventListener('abort', onClosing);
    }
  }

  private async contendUntilOwner(place: Place, options: AcquireOptions): Promise<Acquired> {
    const backoff = this.context.newBackoff();
    for (;;) {
      try {
        const acquired = await this.contend(place, async (claim) => {
          const isOwner = await claim.enqueue(this.stop.signal);
          if (!isOwner) await claim.waitForTurn(this.stop.signal, options.onQueued);
          return true;
        });
        if (acquired !== null) return acquired;
      } catch (error) {
        if (!this.canBeginAgain(error)) throw error;
      }
      // The place in the local queue was left with the failed claim; it is taken again after the pause.
      await pause(this.context.clock, backoff.next(), this.stop.signal);
      place = await this.context.queues.enter(this.queueName(), this.stop.signal);
    }
  }

  /** True for a shared session that was lost, which is replaced, and while no member can be reached. */
  private canBeginAgain(error: unknown): boolean {
    if (this.stop.signal.aborted || !isConclaveError(error) || !error.retryable) return false;
    return error.code !== 'lease-expired' || this.target.session === undefined;
  }

  /** One claim. Whatever goes wrong, its key is withdrawn and its places are given back. */
  private async contend(place: Place, take: (claim: Claim) => Promise<boolean>): Promise<Acquired | null> {
    const { session: own, prefix, value } = this.target;
    let claim: Claim;
    try {
      const session =
        own ?? (await this.context.sessions.get(this.target.ttlMs, this.target.marginMs, this.stop.signal));
      session.use();
      claim = new Claim(this.context, session, prefix, value);
    } catch (error) {
      place.leave();
      throw error;
    }
    const done = (): void => {
      place.leave();
      claim.session.unuse();
    };
    try {
      if (!(await take(claim))) {
        done();
        return null;
      }
      this.confirm(claim);
      return { claim, done };
    } catch (error) {
      await this.cleanUp(claim, done);
      throw error;
    }
  }

  /** A grant that arrives after the term of the session is no grant: by the clock, since the answer took its time. */
  private confirm(claim: Claim): void {
    if (claim.session.isAlive()) return;
    const reason = claim.session.lease.lossReason ?? 'lease-expired-local';
    throw new LeaseExpiredError(`the session ended before ${this.target.what} was granted`, reason);
  }

  private async cleanUp(claim: Claim, done: () => void): Promise<void> {
    const cleaning = { close: () => withdrawn };
    const withdrawn: Promise<void> = claim.withdraw().then(() => {
      this.context.open.delete(cleaning);
      done();
    });
    this.context.open.add(cleaning);
    await settledWithin(this.context.clock, cleanUpGraceMs, withdrawn);
  }

  private queueName(): string {
    const { session, ttlMs, marginMs, prefix } = this.target;
    const owner = session === undefined ? `${ttlMs}/${marginMs}` : session.leaseId.toString(16);
    return `${owner} ${prefix}`;
  }
}
