import { filter, map, type Observable, takeUntil, tap } from 'rxjs';
import { type BackoffOptions } from '../backoff.js';
import { type CacheStore } from '../cache/cache-store.js';
import { type Duration, durationMs } from '../duration.js';
import { type ClientWarning, nodeHost } from '../host.js';
import { bytesOf, type Key, type KeyNamespace, type RangeSelection } from '../key-range.js';
import { type KvStore } from '../kv-store.js';
import { type Entry, type Revision } from '../kv/entry.js';

import { type Runtime } from '../runtime.js';
import { observedMonitor } from '../telemetry/observed-watch.js';
import { type Telemetry } from '../telemetry/telemetry.js';
import { type IteratedBatch, iterateBatches } from './iterate.js';
import { keptStateOf } from './kept-state.js';
import { KnownKeys } from './known-keys.js';
import { resumingWatch, type WatchSignal } from './resuming-watch.js';
import { type RevisionBatch } from './revision-batch.js';
import { aborted$ } from './aborted.js';
import { SharedStates } from './shared-states.js';
import { type Codec, type StateView, stateOf } from './state.js';
import { type MonitorOf, warningMonitor } from './watch-monitor.js';
import { StoreWatchSource } from './watch-source.js';

export interface WatchOptions extends RangeSelection {
  /** The first revision to deliver, also from the past; default: from now on. */
  readonly fromRevision?: Revision;
  /** Begin with one batch of everything that exists, with the cause `initial`. Default false; excludes fromRevision. */
  readonly initial?: boolean;
  /** Deliver the value before each change as well. */
  readonly prevKv?: boolean;
  /** Only these kinds of changes; default both. */
  readonly filter?: readonly ('put' | 'delete')[];
  /** Deliver a batch without changes when the server confirms that nothing is missing up to a revision. */
  readonly progress?: boolean;
  /**
   * Default true: keep the names of the keys of the range, which one list of keys at the start finds out, so that a
   * compaction does not hide deletes. False: nothing is kept; after a compaction a `complete` batch lists everything.
   */
  readonly trackKeys?: boolean;
  /** Aborting completes the observable. */
  readonly signal?: AbortSignal;
}

export interface IterateOptions extends WatchOptions {
  /**
   * Batches kept for a slow consumer; default 1,024. What does not fit is put together: see {@link IteratedBatch}.
   */
  readonly highWaterMark?: number;
}

export interface StateOptions<T> {
  /** Default: the bytes of the value. A value that the codec refuses keeps its last good version. */
  readonly codec?: Codec<T>;
  /** How long the watch stays after the last unsubscription; default 5 s. */
  readonly keepWarm?: Duration;
  /** Equal values are not told as changed; default: identity, so every put counts. */
  readonly equals?: (a: T, b: T) => boolean;
  readonly onInvalid?: (entry: Entry, error: unknown) => void;
  /**
   * How often the names and versions of all keys are read again and compared, in case a server lost a change; default 10 minutes,
   * give or take a tenth; 0: never. A difference is told as a view with the cause `resync`, and as a warning.
   */
  readonly resyncEvery?: Duration;
  /**
   * Show what was seen last until the store answers (freshness `cached`), and keep it for the next start. Default false. A cache of
   * another cluster is not shown once the cluster is known; it never replaces anything that the store said. What an operator pinned
   * in it for this state is shown instead of everything else (freshness `pinned`), for as long as it is there.
   */
  readonly cache?: CacheStore | false;
}

/** What watches tell their surroundings. */
export interface WatchSurroundings {
  readonly warn: (warning: ClientWarning) => void;
  readonly telemetry?: Telemetry;
}

/** Watches on ranges of keys, under the client's key prefix. */
export class Watches {
  private readonly states: SharedStates;
  private readonly monitorOf: MonitorOf;
  /** Of the store that a watch heard of last; 0n: none did. */
  private clusterIdSeen = 0n;

  constructor(
    private readonly store: KvStore,
    private readonly names: KeyNamespace,
    private readonly runtime: Runtime,
    private readonly backoff: BackoffOptions,
    private readonly surroundings: WatchSurroundings = nodeHost,
  ) {
    this.states = new SharedStates(runtime.clock);
    const { telemetry } = surroundings;
    const warn = (warning: ClientWarning): void => surroundings.warn(warning);
    this.monitorOf =
      telemetry === undefined
        ? (range) => warningMonitor(range, warn)
        : (range) => observedMonitor(telemetry, range, warn);
  }

  /**
   * Cold: every subscription is a watch of its own, from `fromRevision` on (default: from now, which is when the server
   * answers the first request). Each change is delivered once, in order, whole revisions at a time, over lost
   * connections, compaction (cause `resync`) and a replaced store (cause `store-replaced`). Completes only on abort or
   * when the client is closed; errors only when going on is pointless, such as UnauthorizedError or InvalidArgumentError.
   */
  events(key: Key, options: WatchOptions = {}): Observable<RevisionBatch> {
    const signals$ = this.open(key, options);
    const batches$ = signals$.pipe(
      filter((signal) => signal.kind === 'batch'),
      map((signal) => signal.batch),
    );
    return options.signal === undefined ? batches$ : batches$.pipe(takeUntil(aborted$(options.signal)));
  }

  /**
   * The batches of {@link events} with back-pressure: what the loop has not taken yet is kept up to `highWaterMark` batches, then put
   * together by key. Each loop is a watch of its own; leaving it, or aborting, ends it. An error comes after what was before it.
   *
   * @throws InvalidArgumentError for a highWaterMark below 1.
   */
  iterate(key: Key, options: IterateOptions = {}): AsyncIterable<IteratedBatch> {
    const { highWaterMark = 1_024, ...watching } = options;
    return iterateBatches(this.events(key, watching), highWaterMark);
  }

  /**
   * All keys with this prefix as one value that stays up to date. Hot: shared by all subscribers with the same prefix
   * and options, replays the newest state to late ones, and is kept warm for `keepWarm` after the last one has left. What one
   * subscriber throws reaches neither the others nor the watch.
   *
   * @throws InvalidArgumentError for times that are none.
   */
  state<T = Uint8Array>(prefix: string, options: StateOptions<T> = {}): Observable<StateView<T>> {
    const keepWarmMs = durationMs(options.keepWarm ?? '5s', 'keepWarm');
    const auditEveryMs = durationMs(options.resyncEvery ?? '10m', 'resyncEvery');
    const { clock } = this.runtime;
    const signals$ = this.open(prefix, { prefix: true, initial: true, auditEveryMs });
    const { cache: store } = options;
    if (!store) return this.states.share(prefix, options, keepWarmMs, stateOf(signals$, options, clock));
    const keeping = {
      store,
      // Of the keys as they are in the store. The star makes a name of the empty prefix.
      id: ['state', `${this.names.range(prefix, { prefix: true }).start.toString('utf8')}*`],
      clock,
      warn: this.surroundings.warn,
      clusterIdSeen: () => this.clusterIdSeen,
    };
    return this.states.share(prefix, options, keepWarmMs, keptStateOf(signals$, options, keeping));
  }

  /** As {@link events}, with the news about being up to date. `baseline`: keys that exist just before fromRevision. */
  open(
    key: Key,
    options: WatchOptions & { readonly baseline?: readonly Key[]; readonly auditEveryMs?: number } = {},
  ): Observable<WatchSignal> {
    const kinds = options.filter ?? ['put', 'delete'];
    const puts = kinds.includes('put');
    const deletes = kinds.includes('delete');
    const source = new StoreWatchSource(this.store, this.names.range(key, options), {
      prevKv: options.prevKv ?? false,
      puts,
      deletes,
    });
    const signals$ = resumingWatch(
      source,
      this.names,
      {
        fromRevision: options.fromRevision,
        initial: options.initial ?? false,
        trackKeys: options.trackKeys ?? true,
        ...(options.baseline === undefined
          ? {}
          : { baseline: KnownKeys.named(options.baseline.map(bytesOf)) }),
        progress: options.progress ?? false,
        puts,
        deletes,
        backoff: this.backoff,
        auditEveryMs: options.auditEveryMs ?? 0,
        monitor: this.monitorOf(bytesOf(key).toString('utf8')),
      },
      this.runtime,
    );
    const noteCluster = (signal: WatchSignal): void => {
      if (signal.kind === 'batch') this.clusterIdSeen = signal.clusterId;
    };
    return signals$.pipe(tap(noteCluster));
  }
}
