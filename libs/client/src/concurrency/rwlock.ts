import { type Observable } from 'rxjs';
import { durationMs } from '../duration.js';
import { Acquisition, type AcquireOptions, type Acquired, type Target } from './acquisition.js';
import { type ConcurrencyContext } from './context.js';
import { runGuarded } from './guarded-run.js';
import { DistributedMutex, LockHandle, LockKind, type RunOptions } from './mutex.js';
import { observeWaiters, readWaiters, type Waiter } from './lock-queue.js';
import { type QueueReading } from './queue-entries.js';

/** A read lock that is held. It has no token: several hold it at once and would fence each other off. */
export type ReadHandle = Omit<LockHandle, 'token' | 'fence' | 'headers'>;

/** The reading side of a read-write lock: held by many at once, by nobody while a writer holds it or waits before. */
export class ReadLock {
  private readonly kind: LockKind;

  constructor(
    private readonly context: ConcurrencyContext,
    readonly name: string,
    private readonly target: Target,
  ) {
    this.kind = new LockKind(name);
  }

  /** @throws as {@link DistributedMutex.acquire}. */
  async acquire(options: AcquireOptions = {}): Promise<ReadHandle> {
    return this.handle(await new Acquisition(this.context, this.target).acquire(options));
  }

  /** The lock, or null when a writer holds it or waits for it. */
  async tryAcquire(options: Omit<AcquireOptions, 'wait'> = {}): Promise<ReadHandle | null> {
    const acquired = await new Acquisition(this.context, this.target).tryAcquire(options);
    return acquired === null ? null : this.handle(acquired);
  }

  /** Runs the function under the lock. @throws as {@link DistributedMutex.run}. */
  async run<T>(fn: (handle: ReadHandle) => Promise<T>, options: RunOptions = {}): Promise<T> {
    const graceMs = durationMs(options.abortGrace ?? '5s', 'abortGrace');
    const handle = this.handle(await new Acquisition(this.context, this.target).acquire(options));
    try {
      return await runGuarded(this.context.clock, handle, this.kind.what, () => fn(handle), graceMs);
    } finally {
      await handle.release();
    }
  }

  private handle(acquired: Acquired): LockHandle {
    return new LockHandle(this.context, acquired.claim, this.kind, acquired.done).begin();
  }
}

/**
 * Many readers or one writer, in the order of asking: all stand in one queue by create revision, readers under `read/`,
 * writers under `write/`. A reader waits for the writers before it, a writer for everybody before it; so a waiting writer
 * stops later readers, and each watches one predecessor at a time.
 */
export class ReadWriteLock {
  readonly read: ReadLock;
  readonly write: DistributedMutex;

  constructor(
    private readonly context: ConcurrencyContext,
    readonly name: string,
    targets: { readonly read: Target; readonly write: Target },
  ) {
    this.read = new ReadLock(context, name, targets.read);
    this.write = new DistributedMutex(context, name, targets.write);
    this.target = targets.write;
  }

  private readonly target: Target;

  /** Who holds it first, then who waits, in order. */
  queue(options: Omit<QueueReading, 'limit'> = {}): Promise<readonly Waiter[]> {
    return readWaiters(this.context.kv, this.target, options);
  }

  /** The queue now and after each change of it. */
  queue$(): Observable<readonly Waiter[]> {
    return observeWaiters(this.context.watches, this.target);
  }
}
