import { type InstanceTraits, parseKey } from '@conclave/config-model';
import { type CachedState, type CacheStore } from '../cache/cache-store.js';
import { type OnConfigWarning } from '../cache/warning.js';
import { type Clock, type Timer } from '../runtime.js';
import { chooseRelease, groupOf, nameOf, type StoredRow, type StoredRows } from './release-choice.js';
import { loadRelease, type LoadedRelease } from './release-content.js';

/** What the cache knows of one namespace. */
export interface CachedNamespace {
  readonly release: LoadedRelease | undefined;
  readonly revision: bigint;
}

export interface StateCacheContext {
  readonly store: CacheStore;
  readonly id: readonly string[];
  readonly clock: Clock;
  readonly traits: InstanceTraits;
  readonly warn: OnConfigWarning;
  /** What is in force now, by `app/namespace`: its rows, the release's own row among them. */
  readonly collect: () => ReadonlyMap<string, StoredRows>;
}

/** Changes that follow each other closely are saved once. */
const saveAfterMs = 200;

/**
 * The last good configuration, kept for a start without the store. All namespaces of the app lie in one state, so that a release of
 * several namespaces is kept in one piece.
 *
 * Invariant: a state is saved under the cluster id of the store it came from, and never before that is known.
 */
export class StateCache {
  private loaded: CachedState | undefined;
  private rows = new Map<string, Map<string, StoredRow>>();
  private readonly read = new Map<string, CachedNamespace | undefined>();
  private clusterId = 0n;
  private isDue = false;
  private timer: Timer | undefined;
  private saving: Promise<void> = Promise.resolve();

  constructor(private readonly context: StateCacheContext) {}

  /** Never rejects. */
  async load(): Promise<void> {
    const { store, id } = this.context;
    try {
      this.loaded = await store.load(id);
    } catch (error) {
      this.warn('cache-unusable', `the cached configuration cannot be read: ${messageOf(error)}`);
    }
    this.refuseForeign();
    for (const entry of this.loaded?.entries ?? []) this.sort(entry);
  }

  get savedAt(): number {
    return this.loaded?.savedAt ?? 0;
  }

  /** The namespace as it was when it was saved, or undefined when it was not. */
  namespace(name: string): CachedNamespace | undefined {
    const rows = this.rows.get(name);
    if (rows === undefined || this.loaded === undefined) return undefined;
    if (!this.read.has(name)) this.read.set(name, this.readNamespace(name, rows, this.loaded.revision));
    return this.read.get(name);
  }

  private readNamespace(name: string, rows: StoredRows, revision: bigint): CachedNamespace | undefined {
    try {
      const { chosen } = chooseRelease(rows, this.context.traits);
      const contents = [...rows.values()].filter((row) => {
        const key = parseKey(row.key);
        return key?.kind === 'release' && key.number === chosen?.head.release;
      });
      const release = chosen === undefined ? undefined : loadRelease(chosen, contents[0]);
      return { release, revision };
    } catch (error) {
      this.warn('cache-unusable', `the cached configuration of ${name} cannot be used: ${messageOf(error)}`);
      this.rows.delete(name);
      return undefined;
    }
  }

  /** Which store is answering. A state of another one is forgotten. */
  identify(clusterId: bigint): void {
    this.clusterId = clusterId;
    this.refuseForeign();
    if (this.isDue) this.saveSoon();
  }

  saveSoon(): void {
    this.isDue = true;
    if (this.clusterId === 0n) return;
    this.timer ??= this.context.clock.setTimer(saveAfterMs, () => void this.save());
  }

  /** True when there is something to save, and only the cluster id is missing. */
  get awaitsIdentity(): boolean {
    return this.isDue && this.clusterId === 0n;
  }

  /** Saves what is due. */
  async close(): Promise<void> {
    if (this.isDue && this.clusterId !== 0n) await this.save();
    await this.saving;
  }

  private save(): Promise<void> {
    this.timer?.cancel();
    this.timer = undefined;
    this.isDue = false;
    const { store, id, clock, collect } = this.context;
    const namespaces = this.withUnused(collect());
    const entries = [...namespaces.values()].flatMap((rows) => [...rows.values()]);
    const revision = entries.reduce(
      (newest, row) => (row.modRevision > newest ? row.modRevision : newest),
      0n,
    );
    const state: CachedState = { clusterId: this.clusterId, revision, savedAt: clock.wall(), entries };
    this.saving = store.save(id, state).catch((error: unknown) => {
      this.warn('cache-not-written', `the configuration could not be cached: ${messageOf(error)}`);
    });
    return this.saving;
  }

  /**
   * Namespaces that an earlier run used, and this one did not ask for yet, stay; unless something newer was released together with
   * them since, which would make the cache show two halves of different releases.
   */
  private withUnused(used: ReadonlyMap<string, StoredRows>): Map<string, StoredRows> {
    const all = new Map<string, StoredRows>(used);
    for (const [name, rows] of this.rows) {
      if (used.has(name)) continue;
      const newest = [...rows.values()].reduce(
        (max, row) => (row.modRevision > max ? row.modRevision : max),
        0n,
      );
      const isOutdated = [...used.values()].some((others) =>
        [...others.values()].some((row) => row.modRevision > newest && groupOf(row).includes(name)),
      );
      if (!isOutdated) all.set(name, rows);
    }
    return all;
  }

  private sort(row: StoredRow): void {
    try {
      const key = parseKey(row.key);
      if (key === undefined || key.kind === 'instance') return;
      const name = nameOf(key.id);
      const rows = this.rows.get(name) ?? new Map<string, StoredRow>();
      this.rows.set(name, rows.set(row.key, row));
    } catch (error) {
      this.warn('cache-unusable', `a cached row is left out: ${messageOf(error)}`);
    }
  }

  private refuseForeign(): void {
    const cached = this.loaded?.clusterId;
    if (cached === undefined || this.clusterId === 0n || cached === this.clusterId) return;
    this.loaded = undefined;
    this.rows = new Map();
    const [theirs, ours] = [cached.toString(16), this.clusterId.toString(16)];
    this.warn(
      'cache-unusable',
      `the cached configuration is of cluster ${theirs}, this is ${ours}: it is not used`,
    );
  }

  private warn(code: 'cache-unusable' | 'cache-not-written', message: string): void {
    this.context.warn({ code, message });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
