import { cancellationOf } from '../cancellation.js';

/** A place that was entered; `leave` is idempotent. */
export interface Place {
  leave(): void;
}

interface Waiter {
  enter(): void;
  /** So many stand before now. */
  moved(ahead: number): void;
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

  /**
   * The place, when all who came before have left. `onQueued` is told how many these are, now and on each change.
   *
   * @throws CancelledError (rejects) when the signal aborts first.
   */
  enter(name: string, signal: AbortSignal, onQueued?: (ahead: number) => void): Promise<Place> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(cancellationOf(signal));
      const place = this.tryEnter(name);
      if (place !== undefined) return resolve(place);
      const waiter: Waiter = {
        enter: () => {
          signal.removeEventListener('abort', onAbort);
          resolve(this.place(name));
        },
        moved: (ahead) => {
          // It runs inside somebody else's leaving: what it throws is its own waiter's matter.
          try {
            onQueued?.(ahead);
          } catch (error) {
            giveUp(error);
          }
        },
      };
      const giveUp = (error: unknown): void => {
        signal.removeEventListener('abort', onAbort);
        const queue = this.waiting.get(name);
        const at = queue?.indexOf(waiter) ?? -1;
        if (at >= 0) {
          queue?.splice(at, 1);
          this.tellFrom(name, at);
        }
        reject(asError(error));
      };
      const onAbort = (): void => giveUp(cancellationOf(signal));
      signal.addEventListener('abort', onAbort, { once: true });
      const queue = this.waiting.get(name) ?? [];
      queue.push(waiter);
      waiter.moved(queue.length);
    });
  }

  /** Those from this position on have moved up. */
  private tellFrom(name: string, position: number): void {
    const queue = this.waiting.get(name) ?? [];
    for (const [at, waiter] of [...queue].entries()) if (at >= position) waiter.moved(at + 1);
  }

  private place(name: string): Place {
    let left = false;
    return {
      leave: () => {
        if (left) return;
        left = true;
        const next = this.waiting.get(name)?.shift();
        if (next === undefined) return void this.waiting.delete(name);
        next.enter();
        this.tellFrom(name, 0);
      },
    };
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error), { cause: error });
}
