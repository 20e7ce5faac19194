import { Observable } from 'rxjs';
import { type Entry, type Revision } from '../kv/entry.js';
import { type Clock } from '../runtime.js';
import { type WatchSignal } from './resuming-watch.js';
import { type BatchCause } from './revision-batch.js';
import { StateFold } from './state-fold.js';

/** Reads values. @throws whatever it likes for a value that it refuses. */
export interface Codec<T> {
  decode(value: Uint8Array, key: string): T;
}

/** Whether what is shown is up to date. Times are milliseconds since the Unix epoch. */
export type Freshness =
  | { readonly kind: 'live' }
  /** Last known, since a time. */
  | { readonly kind: 'stale'; readonly since: number; readonly error: Error }
  /** From a cache, saved at this time; nothing live was there yet. */
  | { readonly kind: 'cached'; readonly savedAt: number }
  /** From a file that an operator wrote; where it stands. */
  | { readonly kind: 'pinned'; readonly source: string };

/** One key of a state, decoded. Frozen; the value is what the codec made of it. */
export interface StateEntry<T> {
  readonly key: string;
  readonly value: T;
  /** 0n for what an operator pinned. */
  readonly modRevision: Revision;
}

/** All keys of a prefix at one revision. Frozen. */
export interface StateView<T> {
  /**
   * By key, in ascending order. A map of its own for every view, which never changes; it shares what did not change with the one
   * before, so that a change costs O(log n), and entries that did not change are the same objects.
   */
  readonly entries: ReadonlyMap<string, StateEntry<T>>;
  readonly revision: Revision;
  readonly freshness: Freshness;
  /** The keys that differ from the view before. */
  readonly changed: ReadonlySet<string>;
  readonly cause: BatchCause;
}

export interface StateReading<T> {
  readonly codec?: Codec<T>;
  readonly equals?: (a: T, b: T) => boolean;
  readonly onInvalid?: (entry: Entry, error: unknown) => void;
}

/** Folds the signals of a watch that begins with everything into views. */
export function stateOf<T>(
  signals$: Observable<WatchSignal>,
  reading: StateReading<T>,
  clock: Clock,
): Observable<StateView<T>> {
  return new Observable((subscriber) => {
    const fold = new StateFold(reading, clock);
    return signals$.subscribe({
      next: (signal) => {
        const view = fold.take(signal);
        if (view !== undefined) subscriber.next(view);
      },
      error: (error: unknown) => subscriber.error(error),
      complete: () => subscriber.complete(),
    });
  });
}
