import { pause, settledWithin, throwIfCancelled } from '../cancellation.js';
import { type Duration, durationMs } from '../duration.js';
import { DeadlockError, isConclaveError, LeaseExpiredError, LockTimeoutError } from '../errors.js';
import { type Value } from '../key-range.js';
import { Claim, StandBack } from './claim.js';
import { type ConcurrencyContext } from './context.js';
import { holdsAlready } from './held-chain.js';
import { type Place } from './local-queue.js';
import { type Session } from './session.js';

export interface AcquireOptions {
  /** How long to wait; default `'forever'`. 0: only if it is free now. */
  readonly wait?: Duration | 'forever';
  readonly signal?: AbortSignal;
  /**
   * Told how many stand before, when queued and whenever that changes: first in this process, for those that share a key,
   * then in the store. It costs a watch on the whole queue; without it only the predecessor is watched.
   */
  readonly onQueued?: (ahead: number) => void;
}

/** What is to be acquired, and with which session. */
export interface Target {
  readonly what: string;
  readonly prefix: string;
  /** The prefix of those who must have left before; the same, except for readers. */
  readonly blockers: string;
  readonly value: Value;
  /** The owner's key. A new one for each claim when `concurrent`, otherwise always the same one for a session. */
  readonly keyFor: (session: Session) => string;
  /** True: several claims of one session may stand in the queue. False: they wait for each other in this process. */
  readonly concurrent: boolean;
  readonly cession?: string;
  /** The prefix of readers' keys, for a queue that has some. */
  readonly readers?: string;
  readonly reentry: 'refuse' | 'wait';
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

/** The place of those who need none. */
const free: Place = { leave: () => undefined };

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
    this.refuseDeadlock(undefined);
    return this.within(options, async () => {
      const place = await this.enter(options.onQueued);
      return this.contendUntilOwner(place, options);
    });
  }

  /** Null when somebody else holds it or waits for it. */
  async tryAcquire(options: Omit<AcquireOptions, 'wait'>): Promise<Acquired | null> {
    return this.within({ ...options, wait: 'forever' }, async () => {
      const place = this.target.concurrent ? free : this.context.queues.tryEnter(this.queueName());
      if (place === undefined) return null;
      return this.contend(place, (claim) => claim.enqueueIfFree(this.stop.signal));
    });
  }

  /** Runs with the reasons to stop connected: the caller's signal, the time limit, the end of all acquiring. */
  private async within<T>(options: AcquireOptions, run: () => Promise<T>): Promise<T> {
    const { signal, wait = 'forever' } = options;
    const { clock, acquiring } = this.context;
    const onAbort = (): void => this.stop.abort(signal?.reason);
    const onEnd = (): void => this.stop.abort(acquiring.reason);
    if (signal?.aborted === true) onAbort();
    if (acquiring.aborted) onEnd();
    signal?.addEventListener('abort', onAbort, { once: true });
    acquiring.addEventListener('abort', onEnd, { once: true });
    const waitMs = wait === 'forever' ? undefined : durationMs(wait, 'wait');
    const late = (): void =>
      this.stop.abort(new LockTimeoutError(`${this.target.what} did not become free in ${waitMs} ms`));
    const timer = waitMs === undefined ? undefined : clock.setTimer(waitMs, late);
    try {
      return await run();
    } finally {
      timer?.cancel();
      signal?.removeEventListener('abort', onAbort);
      acquiring.removeEventListener('abort', onEnd);
    }
  }

  private async contendUntilOwner(place: Place, options: AcquireOptions): Promise<Acquired> {
    const backoff = this.context.newBackoff();
    for (;;) {
      try {
        const acquired = await this.contend(place, async (claim) => {
          if (await claim.enqueue(this.stop.signal)) return true;
          this.refuseDeadlock(claim.clusterId);
          await claim.waitForTurn(this.stop.signal, options.onQueued);
          return true;
        });
        if (acquired !== null) return acquired;
      } catch (error) {
        if (!(error instanceof StandBack) && !this.canBeginAgain(error)) throw error;
      }
      // The place in the local queue was left with the failed claim; it is taken again after the pause.
      await pause(this.context.clock, backoff.next(), this.stop.signal);
      place = await this.enter(options.onQueued);
    }
  }

  private async enter(onQueued: AcquireOptions['onQueued']): Promise<Place> {
    const { signal } = this.stop;
    throwIfCancelled(signal);
    return this.target.concurrent ? free : this.context.queues.enter(this.queueName(), signal, onQueued);
  }

  /** Without a cluster only what this very client holds can be told to be the same. */
  private refuseDeadlock(clusterId: bigint | undefined): void {
    const { prefix, reentry, what } = this.target;
    if (reentry === 'wait' || !holdsAlready(this.context, prefix, clusterId)) return;
    throw new DeadlockError(
      `${what} is held by the chain of calls that asks for it, so the wait would never end: ` +
        `pass the handle on (currentLock() finds it), or give reentry: 'wait' if somebody else releases it`,
    );
  }

  /** True for a shared session that was lost, which is replaced, and while no member can be reached. */
  private canBeginAgain(error: unknown): boolean {
    if (this.stop.signal.aborted || !isConclaveError(error) || !error.retryable) return false;
    return error.code !== 'lease-expired' || this.target.session === undefined;
  }

  /** One claim. Whatever goes wrong, its key is withdrawn and its places are given back. */
  private async contend(place: Place, take: (claim: Claim) => Promise<boolean>): Promise<Acquired | null> {
    const { session: own, prefix, blockers, value, cession } = this.target;
    let claim: Claim;
    try {
      const session =
        own ?? (await this.context.sessions.get(this.target.ttlMs, this.target.marginMs, this.stop.signal));
      session.use();
      const key = this.target.keyFor(session);
      claim = new Claim(this.context, session, { prefix, blockers, key, value, cession });
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
