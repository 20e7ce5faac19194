import { Buffer } from 'node:buffer';
import { type AppliedRelease, currentKey, parseRef } from '@conclave/config-model';
import { etcdserverpb as pb } from '@conclave/protocol';
import { type Observable, Subject, type Subscription } from 'rxjs';
import { abortable, pause, settledWithin } from '../cancellation.js';
import { asConclaveError } from '../error-mapping.js';
import { ClosedError, type ConclaveError, UnavailableError } from '../errors.js';
import { type KvStore } from '../kv-store.js';
import { type BatchCause } from '../watch/revision-batch.js';
import { type ConfigSettings, namespaceName, shownName } from './config-options.js';
import { type ConfigFreshness, type DocumentView, type NamespaceStatus } from './document-view.js';
import { type DocumentParts, documentOrRefusal, extendedNames } from './effective-document.js';
import { LocalFiles } from './local-files.js';
import { type FeedContext, NamespaceFeed } from './namespace-feed.js';
import { type NamespaceState, ReleaseGate } from './release-gate.js';
import { type StoredRows } from './release-choice.js';
import { type LoadedRelease } from './release-content.js';
import { StateCache } from './state-cache.js';
import { TrackedNamespace } from './tracked-namespace.js';

export interface ReaderContext extends Omit<FeedContext, 'traits'> {
  readonly store: KvStore;
}

/** The views that differ from those before, all of one moment. */
export interface ViewChange {
  /** By `app/namespace`. */
  readonly views: ReadonlyMap<string, DocumentView>;
  readonly cause: BatchCause;
}

/** How long the end waits for the cluster id, without which nothing can be cached. */
const closeWaitsMs = 1_000;
/** A namespace whose watch was refused is tried again after so long. */
const retryFailedMs = 30_000;

/**
 * Reads namespaces: watches them, holds releases together, and falls back to the cache when the store is not reached in time. A
 * namespace that was asked for is read until the end of the client.
 *
 * Invariants: a view of the cache is never shown after one of the store; nothing is shown before the files of the operator were read.
 */
export class ConfigReader {
  private readonly tracked = new Map<string, TrackedNamespace>();
  private readonly gate: ReleaseGate;
  private readonly cache: StateCache | undefined;
  private readonly files: LocalFiles;
  private readonly changes = new Subject<ViewChange>();
  private readonly news = new Subject<void>();
  /** Hot; what is shown changes before it emits. */
  readonly changes$: Observable<ViewChange> = this.changes.asObservable();
  /** Hot; the status of a namespace may have changed. */
  readonly news$: Observable<void> = this.news.asObservable();
  private readonly stopping = new AbortController();
  private isStarted = false;
  private identified: Promise<void> = Promise.resolve();
  private isPrepared = false;
  private replaced: Subscription | undefined;
  private readonly unknown: ConfigFreshness;

  constructor(
    private readonly context: ReaderContext,
    readonly settings: ConfigSettings,
  ) {
    const { clock } = context;
    const { app, env, cache, traits, warn } = settings;
    const id = ['config', env, app];
    this.gate = new ReleaseGate({
      clock,
      holdMs: settings.holdMs,
      catchUp: (name, revision) => void this.tracked.get(name)?.feed?.catchUp(revision),
      show: (states) => this.onShown(states),
    });
    const collect = (): ReadonlyMap<string, StoredRows> => this.rowsToKeep();
    this.cache = cache && new StateCache({ store: cache, id, clock, traits, warn, collect });
    this.files = new LocalFiles(settings, id, clock, () => this.refresh('change'));
    const error = new UnavailableError('the store has not been reached yet');
    this.unknown = { kind: 'stale', since: clock.wall(), error };
  }

  /** Begins to read a namespace, and gives its name. @throws InvalidArgumentError for a name that cannot be one. */
  ask(asked: string): string {
    const name = namespaceName(this.settings, asked);
    this.start();
    const tracked = this.track(name);
    if (!tracked.isAsked) {
      tracked.isAsked = true;
      tracked.timer = this.context.clock.setTimer(this.settings.startMs, () => {
        tracked.isOverdue = true;
        this.refresh('initial');
      });
      this.refresh('initial');
    }
    return name;
  }

  /** Resolves when it is known what to start with: the newest of the store, or what is there instead after the time of a start. */
  async settled(name: string): Promise<TrackedNamespace> {
    const tracked = this.track(name);
    if (!this.isSettled(tracked)) {
      await abortable(
        new Promise<void>((resolve) => {
          const subscription = this.news$.subscribe(() => {
            if (!this.isSettled(tracked)) return;
            subscription.unsubscribe();
            resolve();
          });
        }),
        this.stopping.signal,
      );
    }
    return tracked;
  }

  /** The namespaces that were asked for, with their names. */
  get asked(): readonly TrackedNamespace[] {
    return [...this.tracked.values()].filter((tracked) => tracked.isAsked);
  }

  isSettled(tracked: TrackedNamespace): boolean {
    if (!this.isPrepared) return false;
    if (tracked.view !== undefined || tracked.live !== undefined || tracked.isOverdue) return true;
    return tracked.failure !== undefined && this.settings.mode === 'require-live';
  }

  /** The newest view, if there is one. */
  view(name: string): DocumentView | undefined {
    return this.tracked.get(name)?.view;
  }

  freshness(name: string): ConfigFreshness {
    return this.tracked.get(name)?.status(this.unknown).freshness ?? this.unknown;
  }

  statuses(): ReadonlyMap<string, NamespaceStatus> {
    const all = this.asked.map(
      (one) => [shownName(this.settings, one.name), one.status(this.unknown)] as const,
    );
    return new Map(all);
  }

  /** What the instance runs, by `app/namespace`. */
  reports(): ReadonlyMap<string, AppliedRelease> {
    const reports = new Map<string, AppliedRelease>();
    for (const tracked of this.asked) {
      const report = tracked.report();
      if (report !== undefined) reports.set(tracked.name, report);
    }
    return reports;
  }

  /** A config class refuses what is shown, or accepts it (undefined). What is refused is not kept in the cache. */
  judge(name: string, className: string, refusal: string | undefined): void {
    const tracked = this.tracked.get(name);
    if (tracked === undefined || tracked.refusals.get(className) === refusal) return;
    if (refusal === undefined) tracked.refusals.delete(className);
    else tracked.refusals.set(className, refusal);
    this.cache?.saveSoon();
    this.news.next();
  }

  /** The document that the cache has, for a start whose newest release is refused. */
  cachedView(name: string): DocumentView | undefined {
    const parts = this.cachedParts(name);
    return parts && documentOrRefusal(parts).view;
  }

  async close(): Promise<void> {
    // A process that lives for a moment leaves its configuration to the next one all the same.
    if (this.cache?.awaitsIdentity === true)
      await settledWithin(this.context.clock, closeWaitsMs, this.identified);
    this.stopping.abort(new ClosedError());
    for (const tracked of this.tracked.values()) {
      tracked.timer?.cancel();
      tracked.feed?.close();
    }
    this.gate.close();
    this.files.close();
    this.replaced?.unsubscribe();
    await this.cache?.close();
    this.changes.complete();
    this.news.complete();
  }

  private start(): void {
    if (this.isStarted) return;
    this.isStarted = true;
    const ready = Promise.all([this.cache?.load(), this.files.start()]);
    void ready.then(() => {
      this.isPrepared = true;
      this.refresh('initial');
    });
    if (this.cache === undefined) return;
    this.replaced = this.context.store.replaced$.subscribe(({ clusterId }) =>
      this.cache?.identify(clusterId),
    );
    // Only the end of the reader ends the attempts.
    this.identified = this.identify().catch(() => undefined);
  }

  /** Finds out which store it is, which no watch tells. */
  private async identify(): Promise<void> {
    const { store, clock } = this.context;
    const { signal } = this.stopping;
    const { env, app } = this.settings;
    const key = Buffer.from(currentKey({ env, app, namespace: app }));
    const backoff = this.context.newBackoff();
    for (;;) {
      try {
        const { header } = await store.range(pb.RangeRequest.create({ key, count_only: true }), { signal });
        return this.cache?.identify(header?.cluster_id ?? 0n);
      } catch (error) {
        if (signal.aborted) throw error;
        await pause(clock, asConclaveError(error).retryable ? backoff.next() : retryFailedMs, signal);
      }
    }
  }

  private track(name: string): TrackedNamespace {
    const found = this.tracked.get(name);
    if (found !== undefined) return found;
    const tracked = new TrackedNamespace(name);
    this.tracked.set(name, tracked);
    this.watch(tracked);
    return tracked;
  }

  private watch(tracked: TrackedNamespace): void {
    const { env, traits, warn } = this.settings;
    const { name } = tracked;
    this.gate.watch(name);
    tracked.feed = new NamespaceFeed(
      { ...parseRef(name), env },
      { ...this.context, traits },
      {
        state: (state) => {
          // What it extends has to be read before the gate can let it pass.
          for (const below of extendedNames(state.release)) this.track(below);
          tracked.failure = undefined;
          if (state.cause !== 'change') tracked.freshness = { kind: 'live' };
          this.gate.arrived(state);
        },
        live: () => {
          tracked.freshness = { kind: 'live' };
          this.refresh('change');
        },
        stale: (error) => this.onStale(tracked, error),
        failed: (error) => this.onFailed(tracked, error),
        remark: (message) => warn({ code: 'release-rejected', message: `${name}: ${message}` }),
      },
    );
  }

  private onStale(tracked: TrackedNamespace, error: ConclaveError): void {
    if (tracked.freshness?.kind === 'stale') return;
    tracked.freshness = { kind: 'stale', since: this.context.clock.wall(), error };
    this.refresh('change');
  }

  private onFailed(tracked: TrackedNamespace, error: ConclaveError): void {
    tracked.failure = error;
    tracked.feed?.close();
    this.onStale(tracked, error);
    // Nobody shall wait for it; and a permission may still come.
    this.gate.leave(tracked.name);
    const { clock } = this.context;
    pause(clock, retryFailedMs, this.stopping.signal).then(
      () => this.watch(tracked),
      () => undefined,
    );
  }

  private onShown(states: readonly NamespaceState[]): void {
    for (const state of states) {
      const tracked = this.tracked.get(state.name);
      if (tracked === undefined) continue;
      const before = tracked.live?.rejected;
      tracked.live = state;
      if (state.rejected !== undefined && state.rejected !== before) {
        const { message, release } = state.rejected;
        this.warnOfRejection(state.name, `release ${release} is refused: ${message}`);
      }
    }
    const cause = states.map((state) => state.cause).find((other) => other !== 'change') ?? 'change';
    this.refresh(cause);
    // By now every class has judged.
    for (const state of states) this.tracked.get(state.name)?.keepRows();
    this.cache?.saveSoon();
  }

  /** Makes the views anew whose parts have changed, and tells them together. */
  private refresh(cause: BatchCause): void {
    if (!this.isPrepared || this.stopping.signal.aborted) return;
    const views = new Map<string, DocumentView>();
    for (const tracked of this.asked) {
      const parts = this.partsOf(tracked);
      if (parts === undefined) continue;
      const { release, below, pinned, override, source } = parts;
      // Whether the store is reached at the moment makes no other document; the status tells it.
      const inputs = [source, release, pinned, override, ...below.map((layer) => layer.release)];
      if (inputs.length === tracked.inputs.length && inputs.every((one, i) => one === tracked.inputs[i]))
        continue;
      tracked.inputs = inputs;
      const made = this.made(tracked, parts);
      // A process that starts has no last good document of its own; the cache has.
      const view = made ?? (tracked.view === undefined ? this.cachedInstead(tracked.name) : undefined);
      if (view === undefined) continue;
      tracked.view = view;
      tracked.source = made === undefined ? 'cache' : parts.source;
      views.set(tracked.name, view);
    }
    if (views.size > 0) this.changes.next({ views, cause });
    this.news.next();
  }

  private cachedInstead(name: string): DocumentView | undefined {
    return this.settings.mode === 'require-live' ? undefined : this.cachedView(name);
  }

  private made(tracked: TrackedNamespace, parts: DocumentParts): DocumentView | undefined {
    const { view, refusal } = documentOrRefusal(parts);
    tracked.refusal = refusal;
    if (refusal !== undefined) this.warnOfRejection(tracked.name, refusal);
    return view;
  }

  /** What the view is made of now, or undefined when there is nothing to show. */
  private partsOf(tracked: TrackedNamespace): DocumentParts | undefined {
    const { name, live, freshness } = tracked;
    const pinned = this.files.pinned.get(name);
    if (pinned !== undefined) {
      const kept: ConfigFreshness = { kind: 'pinned', source: pinned.source };
      return { ...this.commonParts(name), pinned, source: 'override', freshness: kept };
    }
    if (live !== undefined && (live.rejected === undefined || live.release !== undefined)) {
      const { release, revision } = live;
      const below = this.below(release, (other) => this.tracked.get(other)?.live?.release);
      const fresh = freshness ?? { kind: 'live' };
      return { ...this.commonParts(name), release, revision, below, source: 'server', freshness: fresh };
    }
    if (live === undefined && (!tracked.isOverdue || this.settings.mode === 'require-live')) return undefined;
    const cached = this.cachedParts(name);
    if (cached !== undefined || live !== undefined || this.settings.mode !== 'defaults') return cached;
    return { ...this.commonParts(name), freshness: freshness ?? this.unknown };
  }

  private cachedParts(name: string): DocumentParts | undefined {
    const cached = this.cache?.namespace(name);
    if (cached === undefined) return undefined;
    const below = this.below(cached.release, (other) => this.cache?.namespace(other)?.release);
    const freshness: ConfigFreshness = { kind: 'cached', savedAt: this.cache?.savedAt ?? 0 };
    return { ...this.commonParts(name), ...cached, below, source: 'cache', freshness };
  }

  private commonParts(name: string): Omit<DocumentParts, 'freshness'> {
    const namespace = shownName(this.settings, name);
    const override = this.files.overrides.get(name);
    const { env, secretKeys: keys } = this.settings;
    return {
      secrets: { env, keys, name },
      namespace,
      name,
      override,
      release: undefined,
      below: [],
      pinned: undefined,
      source: 'default',
      revision: 0n,
    };
  }

  private below(release: LoadedRelease | undefined, find: (name: string) => LoadedRelease | undefined) {
    return extendedNames(release).flatMap((name) => {
      const found = find(name);
      return found === undefined ? [] : [{ name, release: found }];
    });
  }

  private rowsToKeep(): ReadonlyMap<string, StoredRows> {
    const kept = new Map<string, StoredRows>();
    for (const tracked of this.tracked.values()) {
      if (tracked.goodRows !== undefined) kept.set(tracked.name, tracked.goodRows);
    }
    return kept;
  }

  private warnOfRejection(name: string, message: string): void {
    const shown = shownName(this.settings, name);
    this.settings.warn({
      code: 'release-rejected',
      namespace: shown,
      message: `the configuration '${shown}' keeps its last good release: ${message}`,
    });
  }
}
