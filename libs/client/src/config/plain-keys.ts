import { type ConfigValue, unflatten } from '@conclave/config-model';
import { distinctUntilChanged, Observable, ReplaySubject, share } from 'rxjs';
import { type Clock } from '../runtime.js';
import { type WatchSignal } from '../watch/resuming-watch.js';
import { type Codec, type StateView } from '../watch/state.js';
import { type DocumentView, type ValueOrigin } from './document-view.js';
import { textOf } from './release-choice.js';

/** Plain keys under a prefix as a document of properties: what follows the prefix is the path, the value is text. */
export function plainDocument(prefix: string, state: StateView<Uint8Array>): DocumentView {
  const values = new Map<string, ConfigValue>();
  const origins = new Map<string, ValueOrigin>();
  for (const { key, value } of state.entries.values()) {
    values.set(key.slice(prefix.length), textOf(value));
    origins.set(key.slice(prefix.length), { source: 'server' });
  }
  return Object.freeze({
    namespace: prefix,
    exists: values.size > 0,
    release: '',
    sha256: '',
    format: 'properties' as const,
    values,
    origins,
    tree: treeOf(values),
    text: '',
    revision: state.revision,
    freshness: state.freshness,
  });
}

/** Keys that are no paths have no place in a tree; they are found by their whole name. */
function treeOf(values: ReadonlyMap<string, ConfigValue>) {
  return unflatten(new Map([...values].filter(([path]) => /^(?:[^\\]|\\[\\.])*$/.test(path))));
}

/** How long the watch of a value stays after the last subscriber has left. */
const keepWarmMs = 5_000;

/**
 * The value of one key: the default while it does not exist, has never been readable, or while nothing is known and the store does not
 * answer. Never errors. Shared by the subscribers of one observable, replays the newest.
 */
export function plainValue<T>(
  signals$: Observable<WatchSignal>,
  options: { readonly codec?: Codec<T> | undefined; readonly default: T },
  clock: Clock,
): Observable<T> {
  const value$ = new Observable<T>((subscriber) => {
    let isKnown = false;
    const give = (value: T): void => {
      isKnown = true;
      subscriber.next(value);
    };
    return signals$.subscribe({
      next: (signal) => {
        if (signal.kind !== 'batch') {
          if (signal.kind === 'stale' && !isKnown) subscriber.next(options.default);
          return;
        }
        const change = signal.batch.changes.at(-1);
        if (change?.type !== 'put') return give(options.default);
        const decoded = decodedOr(options.codec, change.value, change.key);
        if (decoded !== undefined) give(decoded.value);
        // The last good value stays in force.
        else if (!isKnown) give(options.default);
      },
      error: () => {
        if (!isKnown) subscriber.next(options.default);
      },
      complete: () => subscriber.complete(),
    });
  });
  return value$.pipe(
    distinctUntilChanged(),
    share({
      connector: () => new ReplaySubject<T>(1),
      resetOnRefCountZero: () =>
        new Observable<void>((subscriber) => {
          const timer = clock.setTimer(keepWarmMs, () => subscriber.next());
          return () => timer.cancel();
        }),
    }),
  );
}

function decodedOr<T>(
  codec: Codec<T> | undefined,
  value: Uint8Array,
  key: string,
): { readonly value: T } | undefined {
  try {
    return { value: codec === undefined ? (textOf(value) as T) : codec.decode(value, key) };
  } catch {
    return undefined;
  }
}
