import { type ConfigValue, sameValue } from '@conclave/config-model';
import { firstValueFrom, type Observable, Subject, Subscription } from 'rxjs';
import { type ConclaveClient } from '../../client.js';
import { type ConfigClassDefinition } from '../../config/config-class.js';
import { type DocumentView } from '../../config/document-view.js';
import { type ConclaveModuleOptions } from '../module/options.js';
import { LiveLayer } from './live-layer.js';

/** A path whose value in the store has changed; undefined: the store has none. */
export interface ValueChange {
  readonly path: string;
  readonly oldValue: ConfigValue | undefined;
  readonly newValue: ConfigValue | undefined;
}

type Values = ReadonlyMap<string, ConfigValue>;

/** One connection, of which namespaces are read. */
interface Source {
  readonly layers: LiveLayer[];
  readonly arrived: Promise<unknown>;
  newest: ReadonlyMap<string, DocumentView>;
}

/**
 * What ConfigService reads of the store: namespaces in the order in which they were named, the first one that has a path wins.
 *
 * Invariant: all values of a release are there before any of its changes is told, and each path is told once.
 */
export class LiveValues {
  private readonly sources = new Map<ConclaveClient, Source>();
  private readonly layers: LiveLayer[] = [];
  private readonly told = new Subject<ValueChange>();
  private readonly subscriptions = new Subscription();
  private flat: Values = new Map();
  /** Hot; never the first values. */
  readonly changes$: Observable<ValueChange> = this.told.asObservable();

  get(path: string): ConfigValue | undefined {
    for (const layer of this.layers) {
      const value = layer.get(path);
      if (value !== undefined && value !== null) return value;
    }
    return undefined;
  }

  /**
   * Reads a namespace from now on. Resolves when it is known what to start with.
   *
   * @throws InvalidArgumentError (rejects) for a name that cannot be one.
   */
  async follow(
    client: ConclaveClient,
    options: ConclaveModuleOptions,
    namespace: string,
    definition?: ConfigClassDefinition<object>,
  ): Promise<void> {
    let refusal: unknown;
    // Asks for it; a name that cannot be one is told at once.
    const asking = client.config.document$(namespace).subscribe({ error: (error) => (refusal = error) });
    if (refusal !== undefined) throw refusal;
    this.subscriptions.add(asking);
    const source = this.sources.get(client) ?? this.addSource(client);
    let layer = source.layers.find((one) => one.namespace === namespace);
    if (layer === undefined) {
      const { environment = process.env, moduleValues = () => undefined } = options;
      layer = new LiveLayer(namespace, { environment, moduleValue: moduleValues });
      source.layers.push(layer);
      this.layers.push(layer);
    }
    if (definition !== undefined) layer.definitions.add(definition);
    layer.judgeAgain(source.newest.get(namespace));
    this.flat = this.flattened();
    await source.arrived;
  }

  close(): void {
    this.subscriptions.unsubscribe();
    this.told.complete();
  }

  private addSource(client: ConclaveClient): Source {
    const snapshots$ = client.config.snapshot$();
    const source: Source = {
      layers: [],
      newest: new Map(),
      arrived: firstValueFrom(snapshots$, { defaultValue: undefined }),
    };
    this.sources.set(client, source);
    this.subscriptions.add(snapshots$.subscribe((views) => this.onSnapshot(source, views)));
    return source;
  }

  private onSnapshot(source: Source, views: ReadonlyMap<string, DocumentView>): void {
    source.newest = views;
    let isChanged = false;
    for (const layer of source.layers) {
      const view = views.get(layer.namespace);
      if (view === undefined) continue;
      const isFirst = !layer.isKnown;
      if (!layer.adopt(view)) continue;
      if (isFirst) this.flat = this.flattened();
      else isChanged = true;
    }
    if (isChanged) this.tell();
  }

  private tell(): void {
    const before = this.flat;
    this.flat = this.flattened();
    const paths = new Set([...before.keys(), ...this.flat.keys()]);
    for (const path of paths) {
      const oldValue = before.get(path);
      const newValue = this.flat.get(path);
      if (sameValue(oldValue ?? null, newValue ?? null)) continue;
      this.told.next({ path, oldValue, newValue });
    }
  }

  private flattened(): Values {
    const flat = new Map<string, ConfigValue>();
    for (const layer of [...this.layers].reverse()) {
      for (const [path, value] of layer.values) flat.set(path, value);
    }
    return flat;
  }
}
