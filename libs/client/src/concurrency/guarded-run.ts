import { settledWithin } from '../cancellation.js';
import { isConclaveError, LockLostError, type LossReason } from '../errors.js';
import { type Clock } from '../runtime.js';
import { type Held } from './held.js';

/**
 * Runs a function under something that is held, until it ends or `graceMs` after a loss. Does not give anything back.
 *
 * @throws what the function throws; LockLostError (rejects) when it was lost while the function ran, also when that returned
 *   all the same; `stillRunning` says that it had not ended when the grace was over.
 */
export async function runGuarded<T>(
  clock: Clock,
  held: Held,
  what: string,
  fn: () => Promise<T>,
  graceMs: number,
): Promise<T> {
  let running = true;
  const work = held
    .runWithin(() => Promise.resolve().then(fn))
    .finally(() => {
      running = false;
    });
  work.catch(() => undefined);
  await endOrLoss(clock, held.signal, work, graceMs);
  if (running) {
    const reason = lossReasonOf(held.signal.reason);
    throw new LockLostError(`${what} is lost (${reason}) and its function still runs`, reason, true);
  }
  const result = await work;
  // A stall may have kept every timer from firing: the clock has the last word.
  held.assertHeld();
  return result;
}

async function endOrLoss(
  clock: Clock,
  signal: AbortSignal,
  work: Promise<unknown>,
  graceMs: number,
): Promise<void> {
  let onAbort = (): void => undefined;
  const lost = new Promise<void>((resolve) => {
    onAbort = resolve;
    signal.addEventListener('abort', onAbort, { once: true });
  });
  if (!signal.aborted) await Promise.race([work.catch(() => undefined), lost]);
  signal.removeEventListener('abort', onAbort);
  if (signal.aborted) await settledWithin(clock, graceMs, work);
}

function lossReasonOf(error: unknown): LossReason {
  return isConclaveError(error) && error instanceof LockLostError ? error.lossReason : 'lease-expired-local';
}
