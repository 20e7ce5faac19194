import { cancellationOf } from '../cancellation.js';

/** A place that was entered; `leave` is idempotent. */
export interface Place {
  leave(): void;
}

interface Waiter {
  enter(): void;
}

/**
 * First come, first served inside this process. The key of a lock is named by the lease, so two acquirers with one
 * session would share one key and both believe they hold the lock; only the first in this queue may use the key. It
 * also means that a process with many waiters asks the store once.
 *
 * Invariant: a name is in the map exactly while its place is taken.
 */
export class LocalQueues {
  private readonly waiting = new Map<string, Waiter[]>();

  /** The place at once, or undefined when it is taken. */
  tryEnter(name: string): Place | undefined {
    if (this.waiting.has(name)) return undefined;
    this.waiting.set(name, []);
    return this.place(name);
  }

  /** The place, when all who came before have left. @throws CancelledError (rejects) when the signal aborts first. */
  enter(name: string, signal: AbortSignal): Promise<Place> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(cancellationOf(signal));
      const place = this.tryEnter(name);
      if (place !== undefined) return resolve(place);
      const waiter: Waiter = {
        enter: () => {
          signal.removeEventListener('abort', onAbort);
          resolve(this.place(name));
        },
      };
      const onAbort = (): void => {
        const queue = this.waiting.get(name);
        const at = queue?.indexOf(waiter) ?? -1;
        if (at >= 0) queue?.splice(at, 1);
        reject(cancellationOf(signal));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.waiting.get(name)?.push(waiter);
    });
  }

  /** How many wait behind the one who is in. */
  ahead(name: string): number {
    const queue = this.waiting.get(name);
    return queue === undefined ? 0 : queue.length + 1;
  }

  private place(name: string): Place {
    let left = false;
    return {
      leave: () => {
        if (left) return;
        left = true;
        const next = this.waiting.get(name)?.shift();
        if (next === undefined) this.waiting.delete(name);
        else next.enter();
      },
    };
  }
}
