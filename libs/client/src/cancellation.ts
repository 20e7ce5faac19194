import { CancelledError, isConclaveError } from './errors.js';
import { type Clock } from './runtime.js';

/** The error that a wait ends with when its signal aborts: the SDK's own reason, or a CancelledError around it. */
export function cancellationOf(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return isConclaveError(reason) ? reason : new CancelledError(undefined, { cause: reason });
}

/** @throws CancelledError when the signal is aborted already. */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw cancellationOf(signal);
}

/**
 * The promise, or a rejection as soon as the signal aborts. The work behind the promise goes on: whoever needs it
 * stopped must stop it.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(cancellationOf(signal));
    if (signal.aborted) {
      promise.catch(() => undefined);
      return onAbort();
    }
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Waits on the given clock. @throws CancelledError (rejects) when the signal aborts first. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    if (signal?.aborted === true) return reject(cancellationOf(signal));
    const onAbort = (): void => {
      timer.cancel();
      if (signal !== undefined) reject(cancellationOf(signal));
    };
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Resolves when the promise settles or after `limitMs`, whichever is first; never rejects. */
export async function settledWithin(clock: Clock, limitMs: number, promise: Promise<unknown>): Promise<void> {
  const stop = new AbortController();
  const limit = pause(clock, limitMs, stop.signal).catch(() => undefined);
  await Promise.race([promise.catch(() => undefined), limit]);
  stop.abort();
}
