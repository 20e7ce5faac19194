import { Observable, ReplaySubject, share } from 'rxjs';
import { Entry, type Revision } from '../kv/entry.js';
import { type Clock } from '../runtime.js';
import { type WatchSignal } from './resuming-watch.js';
import { type BatchCause, type KeyChange, type RevisionBatch } from './revision-batch.js';

/** Reads values. @throws whatever it likes for a value that it refuses. */
export interface Codec<T> {
  decode(value: Uint8Array, key: string): T;
}

/** Whether what is shown is up to date: `live`, or last known since a time in milliseconds since the Unix epoch. */
export type Freshness =
  { readonly kind: 'live' } | { readonly kind: 'stale'; readonly since: number; readonly error: Error };

/** One key of a state, decoded. */
export interface StateEntry<T> {
  readonly key: string;
  readonly value: T;
  readonly modRevision: Revision;
}

/** All keys of a prefix at one revision. */
export interface StateView<T> {
  /** By key. A new map for every view; entries that did not change are the same objects. */
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

const nothing: ReadonlySet<string> = new Set();
const live: Freshness = { kind: 'live' };

/** Folds the signals of a watch that begins with everything into views. */
export function stateOf<T>(
  signals$: Observable<WatchSignal>,
  reading: StateReading<T>,
  clock: Clock,
): Observable<StateView<T>> {
  return new Observable((subscriber) => {
    let view: StateView<T> | undefined;
    const subscription = signals$.subscribe({
      next: (signal) => {
        const before = view;
        if (signal.kind === 'batch') view = fold(before, signal.batch, reading);
        else if (before !== undefined) view = withFreshness(before, signal, clock);
        if (view !== undefined && view !== before) subscriber.next(view);
      },
      error: (error: unknown) => subscriber.error(error),
      complete: () => subscriber.complete(),
    });
    return subscription;
  });
}

function withFreshness<T>(
  view: StateView<T>,
  signal: Exclude<WatchSignal, { kind: 'batch' }>,
  clock: Clock,
): StateView<T> {
  if (signal.kind === 'live') {
    return view.freshness.kind === 'live' ? view : { ...view, freshness: live, changed: nothing };
  }
  if (view.freshness.kind === 'stale') return view;
  return {
    ...view,
    freshness: { kind: 'stale', since: clock.wall(), error: signal.error },
    changed: nothing,
  };
}

function fold<T>(
  before: StateView<T> | undefined,
  batch: RevisionBatch,
  reading: StateReading<T>,
): StateView<T> {
  const entries = new Map(before?.entries);
  const changed = new Set<string>();
  if (batch.complete && before !== undefined) {
    const present = new Set(batch.changes.map((change) => change.key));
    for (const key of entries.keys()) {
      if (!present.has(key) && entries.delete(key)) changed.add(key);
    }
  }
  for (const change of batch.changes) {
    if (change.type === 'delete') {
      if (entries.delete(change.key)) changed.add(change.key);
    } else if (applyPut(entries, change, reading)) {
      changed.add(change.key);
    }
  }
  const freshness = batch.cause === 'change' ? (before?.freshness ?? live) : live;
  return { entries, revision: batch.revision, freshness, changed, cause: batch.cause };
}

/** True when the view shows another value afterwards. */
function applyPut<T>(
  entries: Map<string, StateEntry<T>>,
  change: Extract<KeyChange, { type: 'put' }>,
  reading: StateReading<T>,
): boolean {
  let value: T;
  try {
    value =
      reading.codec === undefined ? (change.value as T) : reading.codec.decode(change.value, change.key);
  } catch (error) {
    reading.onInvalid?.(entryOf(change), error);
    return false;
  }
  const old = entries.get(change.key);
  if (old !== undefined && reading.equals?.(old.value, value) === true) return false;
  entries.set(change.key, Object.freeze({ key: change.key, value, modRevision: change.modRevision }));
  return true;
}

function entryOf(change: Extract<KeyChange, { type: 'put' }>): Entry {
  const { keyBytes, value, createRevision, modRevision, version, lease } = change;
  return new Entry(keyBytes, value, createRevision, modRevision, version, lease ?? 0n);
}

/** Shares one subscription; it ends `keepWarmMs` after the last subscriber has left, and `onEnd` is told. */
export function sharedState<T>(
  view$: Observable<StateView<T>>,
  keepWarmMs: number,
  clock: Clock,
  onEnd: () => void,
): Observable<StateView<T>> {
  const warm$ = new Observable<void>((subscriber) => {
    const timer = clock.setTimer(keepWarmMs, () => subscriber.next());
    return () => timer.cancel();
  });
  const ending$ = new Observable<StateView<T>>((subscriber) => {
    const subscription = view$.subscribe(subscriber);
    return () => {
      subscription.unsubscribe();
      onEnd();
    };
  });
  return ending$.pipe(
    share({
      connector: () => new ReplaySubject<StateView<T>>(1),
      resetOnRefCountZero: () => warm$,
      resetOnComplete: true,
      resetOnError: true,
    }),
  );
}
