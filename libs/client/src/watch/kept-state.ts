import { Observable, type Subscriber, type Subscription } from 'rxjs';
import { type CachedState, type CacheStore, type PinnedState } from '../cache/cache-store.js';
import { type ConfigWarningCode, type OnConfigWarning } from '../cache/warning.js';
import { type Clock, type Timer } from '../runtime.js';
import { type WatchSignal } from './resuming-watch.js';
import { StateFold } from './state-fold.js';
import { type StateReading, type StateView } from './state.js';

/** Where a state survives a restart. */
export interface StateKeeping {
  readonly store: CacheStore;
  readonly id: readonly string[];
  readonly clock: Clock;
  readonly warn: OnConfigWarning;
  /** Of the store that answered this client last; 0n: none did. */
  readonly clusterIdSeen: () => bigint;
}

/**
 * As `stateOf`, with a cache: shows what was seen last until the store answers, and saves what it shows. What an operator pinned
 * under the id is shown instead, for as long as it is there.
 */
export function keptStateOf<T>(
  signals$: Observable<WatchSignal>,
  reading: StateReading<T>,
  keeping: StateKeeping,
): Observable<StateView<T>> {
  return new Observable((subscriber) => {
    const kept = new KeptState(reading, keeping, subscriber);
    subscriber.add(() => kept.stop());
    kept.start(signals$);
  });
}

/** The first state is saved soon, later ones at most this often, however fast it changes. */
const firstSaveMs = 200;
const saveEveryMs = 5_000;
/** How often the pinned file is looked at. */
const lookEveryMs = 5_000;

/**
 * One subscription.
 *
 * Invariants: nothing is shown before the pinned file was looked at; a cached view is never shown after one of the store; only what
 * the store said is saved.
 */
class KeptState<T> {
  private readonly fold: StateFold<T>;
  private shown: StateView<T> | undefined;
  private pin: PinnedState | undefined;
  /** What the pinned file said, as text; undefined: it was not looked at yet. */
  private seenPin: string | undefined;
  private watching: Subscription | undefined;
  private lookTimer: Timer | undefined;
  private saveTimer: Timer | undefined;
  private hasSaved = false;

  constructor(
    reading: StateReading<T>,
    private readonly keeping: StateKeeping,
    private readonly subscriber: Subscriber<StateView<T>>,
  ) {
    this.fold = new StateFold(reading, keeping.clock, { keepsRows: true });
  }

  start(signals$: Observable<WatchSignal>): void {
    void this.look();
    void this.load();
    this.watching = signals$.subscribe({
      next: (signal) => this.take(signal),
      error: (error: unknown) => this.subscriber.error(error),
      complete: () => this.subscriber.complete(),
    });
  }

  stop(): void {
    this.watching?.unsubscribe();
    this.lookTimer?.cancel();
    const isDue = this.saveTimer !== undefined;
    this.saveTimer?.cancel();
    if (isDue) void this.save();
  }

  private take(signal: WatchSignal): void {
    const view = this.fold.take(signal);
    if (view === undefined) return;
    if (signal.kind === 'batch') this.saveSoon();
    if (this.seenPin !== undefined && this.pin === undefined) this.show(view);
  }

  private show(view: StateView<T> | undefined): void {
    if (view === undefined || this.subscriber.closed) return;
    this.shown = view;
    this.subscriber.next(view);
  }

  private async load(): Promise<void> {
    const { store, id, clusterIdSeen } = this.keeping;
    let cached: CachedState | undefined;
    try {
      cached = await store.load(id);
    } catch (error) {
      this.warn('cache-unusable', `the cached state ${id.join(' ')} cannot be read: ${messageOf(error)}`);
    }
    if (cached === undefined || this.fold.isLive || this.subscriber.closed) return;
    const seen = clusterIdSeen();
    if (seen !== 0n && seen !== cached.clusterId) {
      const [theirs, ours] = [cached.clusterId.toString(16), seen.toString(16)];
      const message = `the cached state ${id.join(' ')} is of cluster ${theirs}, this is ${ours}: it is not used`;
      return this.warn('cache-unusable', message);
    }
    const view = this.fold.seed(cached);
    if (this.seenPin !== undefined && this.pin === undefined) this.show(view);
  }

  private async look(): Promise<void> {
    const { store, id, clock } = this.keeping;
    let pin = this.pin;
    try {
      pin = await store.pinned?.(id);
    } catch (error) {
      this.warn('pinned-unusable', `the pinned state ${id.join(' ')} is not used: ${messageOf(error)}`);
    }
    if (this.subscriber.closed) return;
    const seen = pin === undefined ? '' : JSON.stringify([...pin.entries]);
    if (seen !== this.seenPin) {
      this.seenPin = seen;
      this.pin = pin;
      this.show(pin === undefined ? this.fold.after(this.shown) : this.fold.pinned(pin, this.shown));
    }
    if (store.pinned !== undefined) this.lookTimer = clock.setTimer(lookEveryMs, () => void this.look());
  }

  private saveSoon(): void {
    const delayMs = this.hasSaved ? saveEveryMs : firstSaveMs;
    this.saveTimer ??= this.keeping.clock.setTimer(delayMs, () => void this.save());
  }

  private async save(): Promise<void> {
    this.saveTimer = undefined;
    this.hasSaved = true;
    const state = this.fold.toCache();
    if (state === undefined) return;
    const { store, id } = this.keeping;
    try {
      await store.save(id, state);
    } catch (error) {
      this.warn('cache-not-written', `the state ${id.join(' ')} could not be cached: ${messageOf(error)}`);
    }
  }

  private warn(code: ConfigWarningCode, message: string): void {
    this.keeping.warn({ code, message });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
