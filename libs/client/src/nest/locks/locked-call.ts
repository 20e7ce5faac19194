import { type DistributedMutex, type LockHandle } from '../../concurrency/mutex.js';
import { type ErrorCode, isConclaveError } from '../../errors.js';
import { type MethodCall } from '../methods/wrapped-method.js';
import { logger } from '../module/started-client.js';
import { waitOfRequest } from './request-end.js';
import { type LockPlan } from './with-lock.js';

/** The store gave no answer, or none that says what became of it; a lease that was granted by then ends by itself. */
const unanswered: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['unavailable', 'timeout', 'maybe-applied']);

/** How long the store may take to say that it is there, in milliseconds. */
const probeMs = 2_000;

/** One call of a method under its lock. Invariant: `hasBegun` is true from the moment on at which the method is called. */
export class LockedCall {
  private hasBegun = false;

  constructor(
    private readonly mutex: DistributedMutex,
    private readonly plan: LockPlan,
    private readonly call: MethodCall,
    private readonly stopping: AbortSignal,
  ) {}

  async run(): Promise<unknown> {
    const { signal, forget } = waitOfRequest(this.call.args);
    const options = { ...this.plan.run, ...(signal === undefined ? {} : { signal }) };
    const locked = (handle: LockHandle): Promise<unknown> => {
      forget();
      return this.proceed(handle);
    };
    try {
      return await this.mutex.run(locked, options);
    } catch (error) {
      // The method may end with the same errors; those are its own.
      if (this.hasBegun || !isConclaveError(error)) throw error;
      if (error.code === 'lock-timeout') return this.busy(error);
      if (!unanswered.has(error.code)) throw error;
      return this.unavailable(error);
    } finally {
      forget();
    }
  }

  private proceed(handle: LockHandle | undefined): Promise<unknown> {
    this.hasBegun = true;
    const { stopping } = this;
    const stopSignal = handle === undefined ? stopping : AbortSignal.any([stopping, handle.signal]);
    return this.call.proceed({ heldLock: handle, stopSignal });
  }

  /** Not had in time: taken, or, after a wait, perhaps the store was away all the time. */
  private async busy(error: Error): Promise<unknown> {
    const { onBusy, onUnavailable, run } = this.plan;
    const isCertain = run.wait === 0;
    if (!isCertain && (onBusy === 'skip' || onUnavailable === 'run')) {
      try {
        await this.mutex.queue({ timeoutMs: probeMs });
      } catch (silence) {
        return this.unavailable(silence);
      }
    }
    if (onBusy === 'throw') throw error;
    return undefined;
  }

  private async unavailable(error: unknown): Promise<unknown> {
    if (this.plan.onUnavailable === 'throw' || !isConclaveError(error) || !unanswered.has(error.code))
      throw error;
    logger.warn(`lock '${this.mutex.name}' cannot be had, and the method runs without it: ${error.message}`);
    return this.proceed(undefined);
  }
}
