import { Buffer } from 'node:buffer';
import {
  currentKey,
  type DocumentFormat,
  encodeCurrent,
  encodeGray,
  encodeRelease,
  formatRef,
  grayKey,
  type GrayMatch,
  parseRef,
  releaseKey,
} from '@conclave/config-model';
import { etcdserverpb as pb } from '@conclave/protocol';
import { createHash } from 'node:crypto';
import { type CacheFiles } from '../../cache/cache-files.js';
import { type CachedState, type CacheStore, type PinnedState } from '../../cache/cache-store.js';
import { type StoreClient } from '../../client.js';
import { FakeWorld } from '../../testing/fake-client.js';
import { type ConfigOptions } from '../config-options.js';

/** A document to release. */
export interface Draft {
  readonly content: string;
  /** Default yaml. */
  readonly format?: DocumentFormat;
  /** `app/namespace` */
  readonly extends?: readonly string[];
  /** The content stands in the release's row only. */
  readonly byReference?: boolean;
  /** A wrong one makes the release unusable. */
  readonly sha256?: string;
  readonly gray?: { readonly rule: string; readonly priority?: number; readonly match: GrayMatch };
}

/** A cache in memory, as durable as the object. */
export class MemoryCache implements CacheStore {
  readonly states = new Map<string, CachedState>();
  pinnedState: PinnedState | undefined;

  load(id: readonly string[]): Promise<CachedState | undefined> {
    return Promise.resolve(this.states.get(id.join('/')));
  }
  save(id: readonly string[], state: CachedState): Promise<void> {
    this.states.set(id.join('/'), state);
    return Promise.resolve();
  }
  pinned(): Promise<PinnedState | undefined> {
    return Promise.resolve(this.pinnedState);
  }
}

/** A world with a config center that releases documents, for the app `shop` in the environment `dev`. */
export class FakeCenter {
  readonly world = new FakeWorld();
  readonly cache = new MemoryCache();
  readonly overrides = new Map<string, string>();
  private release = 0n;

  get warnings() {
    return this.world.warnings;
  }

  get store() {
    return this.world.store;
  }

  get clock() {
    return this.world.clock;
  }

  /** An instance of the app, as if in a process of its own. */
  client(options: Partial<ConfigOptions> = {}): StoreClient {
    const files: Pick<CacheFiles, 'read'> = {
      read: (path) => {
        const text = this.overrides.get(path);
        return Promise.resolve(text === undefined ? undefined : Buffer.from(text));
      },
    };
    const config: ConfigOptions = {
      app: 'shop',
      instanceId: 'pod-1',
      address: '10.0.0.1',
      environment: {},
      cache: this.cache,
      files,
      report: false,
      ...options,
    };
    return this.world.client('', this.clock, config);
  }

  /** Releases documents in one transaction, by `app/namespace` or the namespace of the app `shop`. Gives the revision. */
  publish(drafts: Readonly<Record<string, Draft>>): bigint {
    const names = Object.keys(drafts).map((name) => (name.includes('/') ? name : `shop/${name}`));
    this.release += 1n;
    const puts = Object.values(drafts).flatMap((draft, index) =>
      this.rowsOf(draft, names[index] ?? '', names),
    );
    return this.store.write((mvcc, written) => {
      for (const [key, value] of puts) {
        mvcc.put(pb.PutRequest.create({ key: Buffer.from(key), value: Buffer.from(value) }), written);
      }
    });
  }

  /** Takes keys away in one transaction. */
  remove(...keys: readonly string[]): bigint {
    return this.store.write((mvcc, written) => {
      for (const key of keys)
        mvcc.deleteRange(pb.DeleteRangeRequest.create({ key: Buffer.from(key) }), written);
    });
  }

  private rowsOf(draft: Draft, name: string, names: readonly string[]): [string, string][] {
    const { content, format = 'yaml', gray } = draft;
    const id = { ...parseRef(name), env: 'dev' };
    const sha256 = draft.sha256 ?? createHash('sha256').update(content).digest('hex');
    const below = (draft.extends ?? []).map(parseRef);
    const head = {
      release: this.release,
      sha256,
      format,
      extends: below,
      group: names.length > 1 ? names.map(parseRef) : [],
      content: draft.byReference ? undefined : content,
    };
    const row = {
      number: this.release,
      sha256,
      format,
      extends: below,
      content,
      author: 'ann',
      comment: formatRef(id),
      createdAt: 0,
      basedOn: this.release - 1n,
    };
    const key = gray === undefined ? currentKey(id) : grayKey(id, gray.rule);
    const value =
      gray === undefined
        ? encodeCurrent(head)
        : encodeGray({ ...head, priority: gray.priority ?? 0, match: gray.match });
    return [
      [releaseKey(id, this.release), encodeRelease(row)],
      [key, value],
    ];
  }
}
