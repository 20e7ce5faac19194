import { filter, map, type Observable, takeUntil } from 'rxjs';
import { type BackoffOptions } from '../backoff.js';
import { type Duration, durationMs } from '../duration.js';
import { bytesOf, type Key, type KeyNamespace, type RangeSelection } from '../key-range.js';
import { type KvStore } from '../kv-store.js';
import { type Entry, type Revision } from '../kv/entry.js';
import { type Runtime } from '../runtime.js';
import { KnownKeys } from './known-keys.js';
import { resumingWatch, type WatchSignal } from './resuming-watch.js';
import { type RevisionBatch } from './revision-batch.js';
import { aborted$ } from './aborted.js';
import { type Codec, sharedState, type StateView, stateOf } from './state.js';
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

export interface StateOptions<T> {
  /** Default: the bytes of the value. A value that the codec refuses keeps its last good version. */
  readonly codec?: Codec<T>;
  /** How long the watch stays after the last unsubscription; default 5 s. */
  readonly keepWarm?: Duration;
  /** Equal values are not told as changed; default: identity, so every put counts. */
  readonly equals?: (a: T, b: T) => boolean;
  readonly onInvalid?: (entry: Entry, error: unknown) => void;
}

/** Watches on ranges of keys, under the client's key prefix. */
export class Watches {
  private readonly states = new Map<string, { readonly options: object; readonly view$: unknown }[]>();

  constructor(
    private readonly store: KvStore,
    private readonly names: KeyNamespace,
    private readonly runtime: Runtime,
    private readonly backoff: BackoffOptions,
  ) {}

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
   * All keys with this prefix as one value that stays up to date. Hot: shared by all subscribers with the same prefix
   * and options, replays the newest state to late ones, and is kept warm for `keepWarm` after the last one has left.
   */
  state<T = Uint8Array>(prefix: string, options: StateOptions<T> = {}): Observable<StateView<T>> {
    const shared = this.states.get(prefix) ?? [];
    this.states.set(prefix, shared);
    const found = shared.find((candidate) => sameOptions(candidate.options, options));
    if (found !== undefined) return found.view$ as Observable<StateView<T>>;
    const keepWarmMs = durationMs(options.keepWarm ?? '5s', 'keepWarm');
    const entry = { options, view$: undefined as unknown };
    const forget = (): void => {
      const left = (this.states.get(prefix) ?? []).filter((other) => other !== entry);
      if (left.length === 0) this.states.delete(prefix);
      else this.states.set(prefix, left);
    };
    const signals$ = this.open(prefix, { prefix: true, initial: true });
    const view$ = sharedState(
      stateOf(signals$, options, this.runtime.clock),
      keepWarmMs,
      this.runtime.clock,
      forget,
    );
    entry.view$ = view$;
    shared.push(entry);
    return view$;
  }

  /** As {@link events}, with the news about being up to date. `baseline`: keys that exist just before fromRevision. */
  open(
    key: Key,
    options: WatchOptions & { readonly baseline?: readonly Key[] } = {},
  ): Observable<WatchSignal> {
    const kinds = options.filter ?? ['put', 'delete'];
    const puts = kinds.includes('put');
    const deletes = kinds.includes('delete');
    const source = new StoreWatchSource(this.store, this.names.range(key, options), {
      prevKv: options.prevKv ?? false,
      puts,
      deletes,
    });
    return resumingWatch(
      source,
      this.names,
      {
        fromRevision: options.fromRevision,
        initial: options.initial ?? false,
        trackKeys: options.trackKeys ?? true,
        ...(options.baseline === undefined ? {} : { baseline: KnownKeys.of(options.baseline.map(bytesOf)) }),
        progress: options.progress ?? false,
        puts,
        deletes,
        backoff: this.backoff,
      },
      this.runtime,
    );
  }
}

function sameOptions(a: object, b: object): boolean {
  const names = ['codec', 'equals', 'keepWarm', 'onInvalid'] as const;
  return names.every((name) => Reflect.get(a, name) === Reflect.get(b, name));
}
