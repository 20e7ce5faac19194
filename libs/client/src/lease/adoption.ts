import { cancellationOf } from '../cancellation.js';
import { TimeoutError } from '../errors.js';
import { type CallOptions, type KvStore } from '../kv-store.js';
import { type LeaseId } from '../kv/entry.js';
import { type Clock } from '../runtime.js';

const defaultTimeoutMs = 5_000;

/**
 * Renews a lease once and gives its TTL in seconds; 0 or less: there is no such lease.
 *
 * @throws TimeoutError when no answer came in time, CancelledError when the signal aborted, or the error of the stream (rejects).
 */
export function readTtl(store: KvStore, clock: Clock, id: LeaseId, options: CallOptions): Promise<bigint> {
  const { signal, timeoutMs = defaultTimeoutMs } = options;
  return new Promise<bigint>((resolve, reject) => {
    if (signal?.aborted === true) return reject(cancellationOf(signal));
    const stream = store.leaseKeepAlive({
      next: (answer) => {
        if (answer.ID === id) end(() => resolve(answer.TTL));
      },
      error: (error) => end(() => reject(error)),
    });
    const late = new TimeoutError(`the renewal of lease ${id.toString(16)} had no answer in ${timeoutMs} ms`);
    const timer = clock.setTimer(timeoutMs, () => end(() => reject(late)), true);
    const onAbort = (): void => end(() => signal !== undefined && reject(cancellationOf(signal)));
    signal?.addEventListener('abort', onAbort, { once: true });
    const end = (settle: () => void): void => {
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
      stream.cancel();
      settle();
    };
    stream.send({ ID: id });
  });
}
