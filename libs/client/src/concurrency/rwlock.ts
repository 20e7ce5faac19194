import { type Observable } from 'rxjs';
import { type AcquireOptions, type Target } from './acquisition.js';
import { type ConcurrencyContext } from './context.js';
import { DistributedMutex, type LockHandle, type RunOptions } from './mutex.js';
import { observeWaiters, readWaiters, type Waiter } from './lock-queue.js';
import { type QueueReading } from './queue-entries.js';

/** A read lock that is held. It has no token: several hold it at once and would fence each other off. */
export type ReadHandle = Omit<LockHandle, 'token' | 'fence' | 'headers'>;

/** The reading side of a read-write lock: held by many at once, by nobody while a writer holds it or waits before. */
export interface ReadLock {
  readonly name: string;
  /** @throws as {@link DistributedMutex.acquire}. */
  acquire(options?: AcquireOptions): Promise<ReadHandle>;
  /** The lock, or null when a writer holds it or waits for it. */
  tryAcquire(options?: Omit<AcquireOptions, 'wait'>): Promise<ReadHandle | null>;
  /** Runs the function under the lock. @throws as {@link DistributedMutex.run}. */
  run<T>(fn: (handle: ReadHandle) => Promise<T>, options?: RunOptions): Promise<T>;
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
    private readonly targets: { readonly read: Target; readonly write: Target },
  ) {
    this.read = new DistributedMutex(context, name, targets.read);
    this.write = new DistributedMutex(context, name, targets.write);
  }

  /** Who holds it first, then who waits, in order. */
  queue(options: Omit<QueueReading, 'limit'> = {}): Promise<readonly Waiter[]> {
    return readWaiters(this.context.kv, this.targets.write, options);
  }

  /** The queue now and after each change of it. */
  queue$(): Observable<readonly Waiter[]> {
    return observeWaiters(this.context.watches, this.targets.write);
  }
}
