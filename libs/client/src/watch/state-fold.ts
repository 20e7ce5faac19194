import { Buffer } from 'node:buffer';
import { type CachedEntry, type CachedState, type PinnedState } from '../cache/cache-store.js';
import { Entry } from '../kv/entry.js';
import { type Clock } from '../runtime.js';
import { type WatchSignal } from './resuming-watch.js';
import { type KeyChange, type RevisionBatch } from './revision-batch.js';
import { SortedMap } from './sorted-map.js';
import { type Freshness, type StateEntry, type StateReading, type StateView } from './state.js';

type Put = Extract<KeyChange, { type: 'put' }>;

const nothing: ReadonlySet<string> = new Set();
const live: Freshness = Object.freeze({ kind: 'live' });

/**
 * Makes views of what a watch tells.
 *
 * Invariants: `entries` is what `view` shows; `isSeeded` is true exactly while all of it comes from a cache, which is before the
 * first batch; `rows`, when asked for, has the bytes of every entry.
 */
export class StateFold<T> {
  private entries = SortedMap.of<StateEntry<T>>();
  private view: StateView<T> | undefined;
  private isSeeded = false;
  private clusterId = 0n;
  private readonly rows: Map<string, CachedEntry> | undefined;

  constructor(
    private readonly reading: StateReading<T>,
    private readonly clock: Clock,
    options: { readonly keepsRows?: boolean } = {},
  ) {
    if (options.keepsRows === true) this.rows = new Map();
  }

  /** True when something of the store is shown. */
  get isLive(): boolean {
    return this.view !== undefined && !this.isSeeded;
  }

  /** The newest view when the signal has changed it. */
  take(signal: WatchSignal): StateView<T> | undefined {
    const before = this.view;
    if (signal.kind === 'batch') this.fold(signal.batch, signal.clusterId);
    else if (before !== undefined && !this.isSeeded) this.view = this.withFreshness(before, signal);
    return this.view === before ? undefined : this.view;
  }

  /** Shows what a cache has; nothing when a view is there already. */
  seed(cached: CachedState): StateView<T> | undefined {
    if (this.view !== undefined) return undefined;
    const decoded = cached.entries.flatMap(({ key, value, modRevision }) => {
      const entry = this.decoded(key, value, modRevision);
      if (entry !== undefined) this.rows?.set(key, { key, value, modRevision });
      return entry === undefined ? [] : [[key, entry] as const];
    });
    this.entries = SortedMap.of(decoded);
    this.isSeeded = true;
    this.clusterId = cached.clusterId;
    const freshness: Freshness = Object.freeze({ kind: 'cached', savedAt: cached.savedAt });
    const changed = new Set(this.entries.keys());
    return this.show({ revision: cached.revision, freshness, changed, cause: 'initial' });
  }

  /**
   * What an operator pinned, as the view after the one that is shown; the fold stays as it is. Text is taken as its UTF-8 bytes,
   * anything else as its JSON.
   */
  pinned({ entries, source }: PinnedState, shown: StateView<T> | undefined): StateView<T> {
    const decoded = [...entries].flatMap(([key, value]) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      const entry = this.decoded(key, Buffer.from(text, 'utf8'), 0n);
      return entry === undefined ? [] : [[key, entry] as const];
    });
    const map = SortedMap.of(decoded);
    const freshness: Freshness = Object.freeze({ kind: 'pinned', source });
    const changed = differing(shown?.entries, map);
    return Object.freeze({ entries: map, revision: 0n, freshness, changed, cause: 'initial' });
  }

  /** The newest view as the one after another one that is shown. */
  after(shown: StateView<T> | undefined): StateView<T> | undefined {
    const { view } = this;
    return view && Object.freeze({ ...view, changed: differing(shown?.entries, view.entries) });
  }

  /** What is to be cached; undefined while nothing of the store is known, or without `keepsRows`. */
  toCache(): CachedState | undefined {
    const { rows, view, clusterId } = this;
    if (rows === undefined || view === undefined || this.isSeeded || clusterId === 0n) return undefined;
    return { clusterId, revision: view.revision, savedAt: this.clock.wall(), entries: [...rows.values()] };
  }

  private fold(batch: RevisionBatch, clusterId: bigint): void {
    // What was cached may be of another store, or of a later state of this one than it was restored to.
    const isForeign =
      this.isSeeded && (clusterId !== this.clusterId || batch.revision < (this.view?.revision ?? 0n));
    const cause = isForeign ? 'store-replaced' : batch.cause;
    this.clusterId = clusterId;
    const changed = new Set<string>();
    if (batch.complete) this.removeUnnamed(batch.changes, changed);
    const isSameStore = cause !== 'store-replaced';
    if (this.entries.size === 0 && batch.complete) this.fill(batch.changes, changed);
    else for (const change of batch.changes) if (this.apply(change, isSameStore)) changed.add(change.key);
    const freshness = cause === 'change' ? (this.view?.freshness ?? live) : live;
    this.isSeeded = false;
    this.show({ revision: batch.revision, freshness, changed, cause });
  }

  private show(view: Omit<StateView<T>, 'entries'>): StateView<T> {
    this.view = Object.freeze({ entries: this.entries, ...view });
    return this.view;
  }

  private removeUnnamed(changes: readonly KeyChange[], changed: Set<string>): void {
    if (this.entries.size === 0) return;
    const named = new Set(changes.map((change) => change.key));
    for (const key of [...this.entries.keys()]) if (!named.has(key)) this.remove(key, changed);
  }

  private remove(key: string, changed: Set<string>): void {
    const before = this.entries;
    this.entries = before.without(key);
    this.rows?.delete(key);
    if (this.entries !== before) changed.add(key);
  }

  /** Everything at once, in linear time. */
  private fill(changes: readonly KeyChange[], changed: Set<string>): void {
    const entries: (readonly [string, StateEntry<T>])[] = [];
    for (const change of changes) {
      const entry = change.type === 'put' ? this.read(change) : undefined;
      if (entry === undefined) continue;
      entries.push([change.key, entry]);
      changed.add(change.key);
    }
    this.entries = SortedMap.of(entries);
  }

  /** True when the view shows another value afterwards. */
  private apply(change: KeyChange, isSameStore: boolean): boolean {
    const old = this.entries.get(change.key);
    if (change.type === 'delete') {
      this.entries = this.entries.without(change.key);
      this.rows?.delete(change.key);
      return old !== undefined;
    }
    if (old !== undefined && isSameStore && old.modRevision === change.modRevision) return false;
    const entry = this.read(change);
    if (entry === undefined) return false;
    if (old !== undefined && this.reading.equals?.(old.value, entry.value) === true) return false;
    this.entries = this.entries.with(change.key, entry);
    return true;
  }

  /** Undefined for a value that the codec refuses. */
  private read(change: Put): StateEntry<T> | undefined {
    const { key, value, modRevision } = change;
    try {
      const entry = this.entry(key, value, modRevision);
      this.rows?.set(key, { key, value, modRevision });
      return entry;
    } catch (error) {
      this.reading.onInvalid?.(entryOf(change), error);
      return undefined;
    }
  }

  /** Of a cache or an operator; what the codec refuses is left out. */
  private decoded(key: string, value: Uint8Array, modRevision: bigint): StateEntry<T> | undefined {
    try {
      return this.entry(key, value, modRevision);
    } catch (error) {
      const bytes = Buffer.from(value);
      this.reading.onInvalid?.(new Entry(Buffer.from(key), bytes, 0n, modRevision, 0n, 0n), error);
      return undefined;
    }
  }

  private entry(key: string, bytes: Uint8Array, modRevision: bigint): StateEntry<T> {
    const { codec } = this.reading;
    const value = codec === undefined ? (bytes as T) : codec.decode(bytes, key);
    return Object.freeze({ key, value, modRevision });
  }

  private withFreshness(view: StateView<T>, signal: Exclude<WatchSignal, { kind: 'batch' }>): StateView<T> {
    if (signal.kind === view.freshness.kind) return view;
    const freshness: Freshness =
      signal.kind === 'live' ? live : { kind: 'stale', since: this.clock.wall(), error: signal.error };
    return Object.freeze({ ...view, freshness, changed: nothing });
  }
}

function differing<T>(
  before: ReadonlyMap<string, StateEntry<T>> | undefined,
  after: ReadonlyMap<string, StateEntry<T>>,
): ReadonlySet<string> {
  const changed = new Set<string>();
  for (const [key, entry] of after) if (before?.get(key) !== entry) changed.add(key);
  for (const key of before?.keys() ?? []) if (!after.has(key)) changed.add(key);
  return changed;
}

function entryOf({ keyBytes, value, createRevision, modRevision, version, lease }: Put): Entry {
  return new Entry(keyBytes, value, createRevision, modRevision, version, lease ?? 0n);
}
