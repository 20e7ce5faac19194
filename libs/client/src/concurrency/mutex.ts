import { Observable } from 'rxjs';
import { type Duration, durationMs } from '../duration.js';
import { LockLostError, type LossReason } from '../errors.js';
import { type Value } from '../key-range.js';
import { observeHeld, tracedAcquiring, tracedHolding } from '../telemetry/observed-holding.js';
import { Acquisition, type AcquireOptions, type Acquired, type Target } from './acquisition.js';
import { type ConcurrencyContext } from './context.js';
import { runGuarded } from './guarded-run.js';
import { Held, type HeldKind } from './held.js';
import { heldByChain } from './held-chain.js';
import { observeWaiters, readWaiters, type Waiter } from './lock-queue.js';
import { queueLengthOf, type QueueReading } from './queue-entries.js';
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
  /** Stored as the value of the owner's key, for people who look at it; default: the host and the process. */
  readonly value?: Value;
  /**
   * What asking for a lock does that this very chain of calls holds already, under `run` or `runWithin`: `refuse`, the
   * default, rejects with DeadlockError at once instead of waiting for ever; `wait` waits.
   */
  readonly reentry?: 'refuse' | 'wait';
}

export interface RunOptions extends AcquireOptions {
  /** After a loss, how long to wait for the function to end before rejecting; default 5 s. */
  readonly abortGrace?: Duration;
}

/** How a lock speaks of itself. */
class LockKind implements HeldKind {
  readonly type = 'lock';
  readonly watchAfterMs = 50;
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
 * The lock that the calling chain of functions holds: inside `run`, or of the handle's `runWithin`. The innermost one, or the
 * innermost one of this name. Ask it whether it is still held: a chain may go on after a loss.
 */
export function currentLock(name?: string): LockHandle | undefined {
  return heldByChain('lock', name) as LockHandle | undefined;
}

/**
 * A lock over all clients of the store, in the order in which they asked. Not reentrant: a second acquire by the same
 * process waits for the first one's release, and one by the same chain of calls is refused.
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
   *   closed; LeaseExpiredError when the given session is lost; DeadlockError when the chain of calls holds it (rejects).
   *   The key is deleted, or being deleted, then.
   */
  async acquire(options: AcquireOptions = {}): Promise<LockHandle> {
    return this.handle(await this.acquired(options), true);
  }

  /** The lock, or null when it is held or waited for by anybody. */
  async tryAcquire(options: Omit<AcquireOptions, 'wait'> = {}): Promise<LockHandle | null> {
    const acquired = await this.traced(() => new Acquisition(this.context, this.target).tryAcquire(options));
    return acquired === null ? null : this.handle(acquired, true);
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
    const handle = this.handle(await this.acquired(options), false);
    const work = () => runGuarded(this.context.clock, handle, this.kind.what, () => fn(handle), graceMs);
    try {
      return await tracedHolding(this.context.host.telemetry, handle, this.name, work);
    } finally {
      await handle.release();
    }
  }

  /**
   * Subscribing acquires, unsubscribing releases. Emits the handle once; completes when it was released, errors with
   * LockLostError on loss and with what {@link acquire} rejects with.
   */
  hold$(options: AcquireOptions = {}): Observable<LockHandle> {
    return new Observable((subscriber) => {
      const stop = new AbortController();
      const { signal } = options;
      const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
      this.acquire({ ...options, signal: both }).then(
        (handle) => {
          subscriber.add(() => void handle.release());
          if (subscriber.closed) return;
          let isLost = false;
          handle.validity$.subscribe({
            next: (validity) => (isLost = validity.kind === 'lost'),
            complete: () => {
              if (!isLost) subscriber.complete();
            },
          });
          handle.signal.addEventListener('abort', () => subscriber.error(handle.signal.reason), {
            once: true,
          });
          if (handle.signal.aborted) subscriber.error(handle.signal.reason);
          else subscriber.next(handle);
        },
        (error: unknown) => subscriber.error(error),
      );
      return () => stop.abort();
    });
  }

  /** The holder first, then who waits, in order: those who stand in the store; a process may have more inside. */
  queue(options: Omit<QueueReading, 'limit'> = {}): Promise<readonly Waiter[]> {
    return readWaiters(this.context.kv, this.target, options);
  }

  /** The queue now and after each change of it. */
  queue$(): Observable<readonly Waiter[]> {
    return observeWaiters(this.context.watches, this.target);
  }

  private acquired(options: AcquireOptions): Promise<Acquired> {
    return this.traced(() => new Acquisition(this.context, this.target).acquire(options));
  }

  private traced<T extends Acquired | null>(acquire: () => Promise<T>): Promise<T> {
    const { clock, kv, host } = this.context;
    const queueLength = () => queueLengthOf(kv, this.target.prefix);
    const acquiring = { span: 'conclave.lock.acquire', name: this.name, clock, queueLength } as const;
    return tracedAcquiring(host.telemetry, acquiring, acquire);
  }

  /** `span`: holding it is a span of its own; otherwise the caller makes one. */
  private handle(acquired: Acquired, span: boolean): LockHandle {
    const handle = new LockHandle(this.context, acquired.claim, this.kind, acquired.done).begin();
    observeHeld(this.context.host.telemetry, handle, { kind: 'lock', name: this.name }, span);
    return handle;
  }
}
