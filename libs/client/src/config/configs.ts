import {
  defer,
  distinctUntilChanged,
  EMPTY,
  filter,
  map,
  merge,
  type Observable,
  of,
  Subject,
  Subscription,
} from 'rxjs';
import { type OnConfigWarning } from '../cache/warning.js';
import { ClosedError, ConfigInvalidError, ConfigUnavailableError, InvalidArgumentError } from '../errors.js';
import { type Leases } from '../lease/leases.js';
import { tracedApplying } from '../telemetry/observed-config.js';
import { type Telemetry } from '../telemetry/telemetry.js';
import { type BatchCause } from '../watch/revision-batch.js';
import { type Codec } from '../watch/state.js';
import { type Watches } from '../watch/watches.js';
import { evaluateClass } from './class-values.js';
import { type ConfigClassDefinition, type ConfigClassRef, definitionOf } from './config-class.js';
import { type ConfigOptions, type ConfigSettings, settingsOf, shownName } from './config-options.js';
import { ConfigReader, type ReaderContext, type ViewChange } from './config-reader.js';
import { type ConfigRef, LiveConfigRef, type RefSource } from './config-ref.js';
import { type DocumentView, type NamespaceStatus } from './document-view.js';
import { InstanceReport } from './instance-report.js';
import { PlainClassSource } from './plain-class-source.js';
import { plainValue } from './plain-keys.js';
import { type TrackedNamespace } from './tracked-namespace.js';

export interface ConfigContext extends ReaderContext {
  readonly leases: Leases;
  /** Under the client's key prefix; those of {@link ReaderContext} are not. */
  readonly prefixedWatches: Watches;
  readonly random: () => number;
  readonly warn: OnConfigWarning;
  readonly telemetry?: Telemetry | undefined;
}

type AnyRef = LiveConfigRef<object>;

/**
 * Configuration, for reading. Publishing and rolling back are the center's.
 *
 * Invariant: all config classes have the values of a release before any subscriber is told of it.
 */
export class Configs {
  private readonly settings: ConfigSettings | undefined;
  private reader: ConfigReader | undefined;
  private report: InstanceReport | undefined;
  private readonly refs = new Map<object, Promise<AnyRef>>();
  /** By `app/namespace`, or by `keys:` and a prefix. */
  private readonly adopting = new Map<string, Set<AnyRef>>();
  private readonly plainSources = new Map<string, PlainClassSource>();
  private readonly changes = new Subject<ViewChange>();
  private readonly subscriptions = new Subscription();
  private isClosed = false;

  /** @throws InvalidArgumentError for options that cannot work. */
  constructor(
    private readonly context: ConfigContext,
    options: ConfigOptions | undefined,
  ) {
    this.settings = options && settingsOf(options, context.warn);
  }

  /** What became of the namespaces that were asked for, by the names they were asked for with. Replays the newest. */
  readonly status$: Observable<ReadonlyMap<string, NamespaceStatus>> = defer(() => {
    const reader = this.use();
    return merge(of(undefined), reader.news$).pipe(
      map(() => reader.statuses()),
      distinctUntilChanged(sameStatuses),
    );
  });

  /**
   * The value of a config class: one ref for all who ask. It is there when the store has answered, or when what `start` allows instead
   * is there.
   *
   * @throws ConfigInvalidError, ConfigUnavailableError, InvalidArgumentError, ClosedError (rejects).
   */
  async ref<C extends object>(configClass: ConfigClassRef<C>): Promise<ConfigRef<C>> {
    const definition = definitionOf(configClass);
    let made = this.refs.get(configClass) as Promise<LiveConfigRef<C>> | undefined;
    if (made === undefined) {
      made =
        definition.keys === undefined
          ? this.makeRef(definition)
          : this.makePlainRef(definition, definition.keys);
      this.refs.set(configClass, made as unknown as Promise<AnyRef>);
      made.catch(() => this.refs.delete(configClass));
    }
    return made;
  }

  /** The effective document of a namespace of the app, or of `app/namespace`. Replays the newest; shared. Errors with a bad name only. */
  document$(namespace: string): Observable<DocumentView> {
    return defer(() => {
      const reader = this.use();
      const name = reader.ask(namespace);
      const view = reader.view(name);
      const later$ = this.changes.pipe(
        map((change) => change.views.get(name)),
        filter((changed) => changed !== undefined),
      );
      return merge(view === undefined ? EMPTY : of(view), later$);
    });
  }

  /**
   * All namespaces that were asked for, by the names they were asked for with: first when each of them is known, then once for each
   * revision that changes any. Releases of several namespaces arrive as one. What has no document yet is not in it.
   */
  snapshot$(): Observable<ReadonlyMap<string, DocumentView>> {
    return defer(() => {
      const reader = this.use();
      return merge(of(undefined), this.changes, reader.news$).pipe(
        filter(() => reader.asked.length > 0 && reader.asked.every((tracked) => reader.isSettled(tracked))),
        map(() => viewsOf(reader.asked)),
        distinctUntilChanged(sameViews),
      );
    });
  }

  /**
   * One plain key, under the client's key prefix. Never errors; the default while the key is missing or was never readable. Each
   * subscription begins with the newest value.
   */
  value$<T = string>(
    key: string,
    options: { readonly codec?: Codec<T>; readonly default: T },
  ): Observable<T> {
    const { prefixedWatches, clock } = this.context;
    return plainValue(prefixedWatches.open(key, { initial: true }), options, clock);
  }

  /** Ends all reading. Never rejects. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.subscriptions.unsubscribe();
    for (const source of this.plainSources.values()) source.close();
    await this.report?.close();
    await this.reader?.close();
    for (const ref of [...this.adopting.values()].flatMap((refs) => [...refs])) ref.close();
    this.changes.complete();
  }

  private use(): ConfigReader {
    if (this.isClosed) throw new ClosedError();
    const { settings, context } = this;
    if (settings === undefined) {
      throw new InvalidArgumentError(
        "config: this client does not know whose configuration to read; give createClient({ config: { app: '…' } })",
      );
    }
    if (this.reader !== undefined) return this.reader;
    const reader = new ConfigReader(context, settings);
    this.reader = reader;
    this.subscriptions.add(reader.changes$.subscribe((change) => this.onChange(change)));
    if (settings.report) {
      const report = new InstanceReport({ ...context, settings, collect: () => reader.reports() });
      this.report = report;
      this.subscriptions.add(reader.news$.subscribe(() => report.due()));
    }
    return reader;
  }

  private onChange(change: ViewChange): void {
    tracedApplying(this.context.telemetry, change, () => {
      const announcements = [...change.views].flatMap(([name, view]) => this.adopt(name, view, change.cause));
      for (const announce of announcements) announce();
      this.changes.next(change);
    });
  }

  private adopt(name: string, view: DocumentView, cause: BatchCause): (() => void)[] {
    const refs = [...(this.adopting.get(name) ?? [])];
    return refs.map((ref) => ref.adopt(view, cause)).filter((announce) => announce !== undefined);
  }

  private register<C extends object>(
    name: string,
    definition: ConfigClassDefinition<C>,
    source: RefSource,
    start: { readonly value: C; readonly revision: bigint },
  ): LiveConfigRef<C> {
    const ref = new LiveConfigRef(definition, this.surroundings(), source, start.value, start.revision);
    const refs = this.adopting.get(name) ?? new Set<AnyRef>();
    this.adopting.set(name, refs.add(ref as unknown as AnyRef));
    return ref;
  }

  private surroundings() {
    return this.settings ?? { environment: process.env, moduleValue: () => undefined };
  }

  private async makeRef<C extends object>(definition: ConfigClassDefinition<C>): Promise<LiveConfigRef<C>> {
    const reader = this.use();
    const name = reader.ask(definition.namespace ?? '');
    const tracked = await reader.settled(name);
    const judge = (refusal: string | undefined): void =>
      this.judge(reader, tracked, definition.name, refusal);
    const start = this.startValue(definition, reader, tracked, judge);
    return this.register(name, definition, { freshness: () => reader.freshness(name), judge }, start);
  }

  /** What a class starts with. @throws ConfigInvalidError, ConfigUnavailableError. */
  private startValue<C extends object>(
    definition: ConfigClassDefinition<C>,
    reader: ConfigReader,
    tracked: TrackedNamespace,
    judge: (refusal: string | undefined) => void,
  ): { readonly value: C; readonly revision: bigint } {
    const { view, rejection } = tracked;
    const shown = shownName(reader.settings, tracked.name);
    const keepsLast = definition.onInvalid !== 'fail';
    const documentIsRefused = rejection !== undefined && tracked.refusals.size === 0;
    if (documentIsRefused && (view === undefined || !keepsLast)) {
      throw new ConfigInvalidError(shown, tracked.live?.revision ?? 0n, [rejection.message]);
    }
    if (view === undefined) throw unavailable(shown, reader, tracked);
    const result = evaluateClass(definition, view, reader.settings);
    if (!('violations' in result)) return { value: result.value, revision: view.revision };
    const cached = keepsLast ? reader.cachedView(tracked.name) : undefined;
    const instead = cached && evaluateClass(definition, cached, reader.settings);
    if (cached === undefined || instead === undefined || 'violations' in instead) {
      const hint = view.exists ? [] : [`nothing is released in '${shown}'`];
      throw new ConfigInvalidError(shown, view.revision, [...result.violations, ...hint]);
    }
    judge(result.violations.join('; '));
    return { value: instead.value, revision: cached.revision };
  }

  private judge(
    reader: ConfigReader,
    tracked: TrackedNamespace,
    name: string,
    refusal: string | undefined,
  ): void {
    if (refusal !== undefined && tracked.refusals.get(name) !== refusal) {
      const namespace = shownName(reader.settings, tracked.name);
      const message = `${name} keeps its last good value, release ${tracked.view?.release ?? ''} of '${namespace}' is refused: ${refusal}`;
      reader.settings.warn({ code: 'release-rejected', message, namespace });
    }
    reader.judge(tracked.name, name, refusal);
  }

  private async makePlainRef<C extends object>(
    definition: ConfigClassDefinition<C>,
    prefix: string,
  ): Promise<LiveConfigRef<C>> {
    if (this.isClosed) throw new ClosedError();
    const source = this.plainSource(prefix);
    const startMs = this.settings?.startMs ?? 5_000;
    const view = await source.first(startMs);
    if (view === undefined) {
      throw new ConfigUnavailableError(`the keys under '${prefix}' could not be read within ${startMs} ms`);
    }
    const result = evaluateClass(definition, view, this.surroundings());
    if ('violations' in result) throw new ConfigInvalidError(prefix, view.revision, result.violations);
    // Nothing reports plain keys: a refused value is simply not taken.
    const refSource: RefSource = { freshness: () => source.freshness, judge: () => undefined };
    return this.register(`keys:${prefix}`, definition, refSource, {
      value: result.value,
      revision: view.revision,
    });
  }

  private plainSource(prefix: string): PlainClassSource {
    let source = this.plainSources.get(prefix);
    if (source === undefined) {
      const { prefixedWatches, clock } = this.context;
      source = new PlainClassSource(prefix, prefixedWatches.state(prefix), clock, (view) => {
        for (const announce of this.adopt(`keys:${prefix}`, view, 'change')) announce();
      });
      this.plainSources.set(prefix, source);
    }
    return source;
  }
}

function unavailable(shown: string, reader: ConfigReader, tracked: TrackedNamespace): ConfigUnavailableError {
  const { startMs, mode, cache } = reader.settings;
  const cached =
    mode === 'require-live'
      ? 'start.mode is require-live'
      : cache === undefined
        ? 'there is no cache'
        : 'the cache does not have it';
  const stale = tracked.freshness?.kind === 'stale' ? tracked.freshness.error : undefined;
  const cause = tracked.failure ?? stale;
  return new ConfigUnavailableError(
    `the configuration '${shown}' could not be read within ${startMs} ms${cause === undefined ? '' : ` (${cause.message})`}, and ${cached}`,
    { cause },
  );
}

function viewsOf(asked: readonly TrackedNamespace[]): ReadonlyMap<string, DocumentView> {
  const views = asked.map((tracked) => tracked.view).filter((view) => view !== undefined);
  return new Map(views.map((view) => [view.namespace, view]));
}

function sameViews(a: ReadonlyMap<string, DocumentView>, b: ReadonlyMap<string, DocumentView>): boolean {
  return a.size === b.size && [...a].every(([name, view]) => b.get(name) === view);
}

function sameStatuses(
  a: ReadonlyMap<string, NamespaceStatus>,
  b: ReadonlyMap<string, NamespaceStatus>,
): boolean {
  return a.size === b.size && [...a].every(([name, status]) => sameStatus(status, b.get(name)));
}

function sameStatus(a: NamespaceStatus, b: NamespaceStatus | undefined): boolean {
  return (
    a.release === b?.release &&
    a.state === b.state &&
    a.error === b.error &&
    a.freshness.kind === b.freshness.kind
  );
}
