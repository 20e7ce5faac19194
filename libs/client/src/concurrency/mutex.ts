import { settledWithin } from '../cancellation.js';
import { type Duration, durationMs } from '../duration.js';
import { isConclaveError, LockLostError, type LossReason } from '../errors.js';
import { type Value } from '../key-range.js';
import { Acquisition, type AcquireOptions, type Acquired, type Target } from './acquisition.js';
import { type ConcurrencyContext } from './context.js';
import { Held, type HeldKind } from './held.js';
import { type Session } from './session.js';

export interface LockOptions {
  /** Default 15 s, at least 2 s: how long after the last sign of life the store gives the lock to the next one. */
  readonly ttl?: Duration;
  /** How long before the server this process stops believing; default: 500 ms or 10 % of the TTL, whichever is more. */
  readonly margin?: Duration;
  /** Bind the lock to this session; default: the client's shared one for this TTL. */
  readonly session?: Session;
  /** Use the name itself, without the client's key prefix: the lock that `etcdctl lock NAME` takes. */
  readonly raw?: boolean;
  /** Stored as the value of the owner's key, for people who look at it. */
  readonly value?: Value;
}

export interface RunOptions extends AcquireOptions {
  /** After a loss, how long to wait for the function to end before rejecting; default 5 s. */
  readonly abortGrace?: Duration;
}

class LockKind implements HeldKind {
  readonly what: string;
  constructor(readonly name: string) {
    this.what = `lock '${name}'`;
  }
  lost(message: string, reason: LossReason): LockLostError {
    return new LockLostError(message, reason);
  }
}

/** A lock that is held. `await using` releases it. */
export class LockHandle extends Held {
  /** Gives the lock to the next one. Idempotent; never rejects. */
  release(): Promise<void> {
    return this.giveBack();
  }
}

/**
 * A lock over all clients of the store, in the order in which they asked. Not reentrant: a second acquire by the same
 * process waits for the first one's release.
 */
export class DistributedMutex {
  private readonly kind: LockKind;

  constructor(
    private readonly context: ConcurrencyContext,
    readonly name: string,
    private readonly target: Target,
  ) {
    this.kind = new LockKind(name);
  }

  /**
   * @throws LockTimeoutError when `wait` passed; CancelledError when the signal aborted; ClosedError when the client
   *   closed; LeaseExpiredError when the given session is lost (rejects). The key is deleted, or being deleted, then.
   */
  async acquire(options: AcquireOptions = {}): Promise<LockHandle> {
    return this.handle(await new Acquisition(this.context, this.target).acquire(options));
  }

  /** The lock, or null when it is held or waited for by anybody. */
  async tryAcquire(options: Omit<AcquireOptions, 'wait'> = {}): Promise<LockHandle | null> {
    const acquired = await new Acquisition(this.context, this.target).tryAcquire(options);
    return acquired === null ? null : this.handle(acquired);
  }

  /**
   * Runs the function under the lock and releases it afterwards. The function gets the handle: it should pass
   * `handle.signal` on, and call `handle.assertHeld()` before each side effect.
   *
   * @throws what the function throws; LockLostError when the lock was lost while it ran, also when it returned all the
   *   same. `stillRunning` says that it had not ended within `abortGrace` after the loss.
   */
  async run<T>(fn: (handle: LockHandle) => Promise<T>, options: RunOptions = {}): Promise<T> {
    const graceMs = durationMs(options.abortGrace ?? '5s', 'abortGrace');
    const handle = await this.acquire(options);
    let running = true;
    const work = Promise.resolve()
      .then(() => fn(handle))
      .finally(() => {
        running = false;
      });
    try {
      await this.endOrLoss(handle, work, graceMs);
      if (running) {
        const reason = lossReasonOf(handle.signal.reason);
        throw new LockLostError(
          `${this.kind.what} is lost (${reason}) and its function still runs`,
          reason,
          true,
        );
      }
      const result = await work;
      // A stall may have kept every timer from firing: the clock has the last word.
      handle.assertHeld();
      return result;
    } finally {
      work.catch(() => undefined);
      await handle.release();
    }
  }

  private async endOrLoss(handle: LockHandle, work: Promise<unknown>, graceMs: number): Promise<void> {
    let onAbort = (): void => undefined;
    const lost = new Promise<void>((resolve) => {
      onAbort = resolve;
      handle.signal.addEventListener('abort', onAbort, { once: true });
    });
    await Promise.race([work.catch(() => undefined), lost]);
    handle.signal.removeEventListener('abort', onAbort);
    if (handle.signal.aborted) await settledWithin(this.context.clock, graceMs, work);
  }

  private handle(acquired: Acquired): LockHandle {
    return new LockHandle(this.context, acquired.claim, this.kind, acquired.done).begin();
  }
}

function lossReasonOf(error: unknown): LossReason {
  return isConclaveError(error) && error instanceof LockLostError ? error.lossReason : 'lease-expired-local';
}
