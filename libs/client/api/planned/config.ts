import type { Observable } from 'rxjs';
import type { BatchCause, Codec, Duration, Freshness, Revision } from '../../src/index.js';
import type { CacheStore, FreshnessToCome } from './watch.js';

/** Whose configuration: an app in an environment, and what this instance is for gray rules. */
export interface ConfigIdentity {
  readonly app: string;
  /** Default `dev`. */
  readonly env?: string;
  /** Default: host name and process. */
  readonly instanceId?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** For rules by address; default: the first address of this host that is not a loopback one. */
  readonly address?: string;
}

export interface ConfigOptions extends ConfigIdentity {
  /** Default `allow-cached`: wait up to `timeout` for the store, then start with the cache; fail when there is neither. */
  readonly start?: {
    readonly mode?: 'require-live' | 'allow-cached' | 'defaults';
    readonly timeout?: Duration;
  };
  readonly cache?: CacheStore | false;
  /** 32 bytes per key id: decrypts values that the center encrypted for this app. */
  readonly secretKeys?: Readonly<Record<string, Uint8Array>>;
  /** A file of values by namespace and path that wins over everything; read again when it changes. */
  readonly overrideFile?: string;
  /** Tell the store what this instance runs (`/conclave/instances/…`, bound to a lease). Default true. */
  readonly report?: boolean;
}

export type ConfigFormat = 'properties' | 'json' | 'yaml' | 'text';
export type ConfigValue =
  string | number | boolean | null | readonly ConfigValue[] | { readonly [name: string]: ConfigValue };

/** Where a value comes from, in the order in which they win. There is no other order. */
export type ConfigSource = 'override' | 'environment' | 'server' | 'cache' | 'module' | 'default';

export interface ValueOrigin {
  readonly source: ConfigSource;
  /** The namespace that it stands in: the own one, or a public one that it extends. */
  readonly namespace?: string;
  /** The gray rule that gave it, if one did. */
  readonly gray?: string;
}

/** The effective document of a namespace: overlays and gray rules applied. */
export interface DocumentView {
  readonly namespace: string;
  /** The release in force, or '' for keys that no center manages. */
  readonly release: string;
  readonly format: ConfigFormat;
  /** By dotted path. Text has one value, under ''. */
  readonly values: ReadonlyMap<string, ConfigValue>;
  readonly origins: ReadonlyMap<string, ValueOrigin>;
  /** As a tree, for formats that have one. */
  readonly tree: ConfigValue;
  readonly text: string;
  readonly revision: Revision;
  readonly freshness: Freshness | FreshnessToCome;
}

/** A class whose properties are read from a namespace; made with `@ConfigClass` or {@link configClass}. */
export interface ConfigClassRef<C extends object> {
  new (): C;
}

export interface ConfigClassOptions {
  /** A namespace of the app, or `app/namespace` of a public one. */
  readonly namespace?: string;
  /** Instead of a namespace: plain keys under this prefix, one per property; works on a store without a center. */
  readonly keys?: string;
  /** `keep-last` (default): an invalid release leaves the last good value in force. `fail`: errors the start only. */
  readonly onInvalid?: 'keep-last' | 'fail';
}

export interface ConfigKeyOptions<T = unknown> {
  readonly default?: T;
  /** This environment variable wins over the store. */
  readonly env?: string;
  /** Reads the raw value; default: as the property's type says. */
  readonly parse?: (value: ConfigValue) => T;
}

/** Config classes without decorators: plain schemas. `validate` gives the value or what is wrong with it. */
export declare function configClass<C extends object>(
  options: ConfigClassOptions & {
    readonly name: string;
    readonly validate: (
      values: Readonly<Record<string, ConfigValue>>,
    ) => { readonly value: C } | { readonly violations: readonly string[] };
  },
): ConfigClassRef<C>;

export interface ConfigChange<C> {
  readonly previous: Readonly<C>;
  readonly current: Readonly<C>;
  readonly changedKeys: readonly (keyof C)[];
  readonly revision: Revision;
  readonly cause: BatchCause;
}

/** The newest valid value of a config class. */
export interface ConfigRef<C> {
  /** Frozen, of one revision: keep it in a variable and it does not change across an `await`. */
  readonly value: Readonly<C>;
  readonly revision: Revision;
  readonly freshness: Freshness | FreshnessToCome;
  /** Each change; not the value that is there already. */
  readonly changes$: Observable<ConfigChange<C>>;
  /** A part of it: replays the current one, then every different one. */
  select<U>(pick: (current: Readonly<C>) => U, equals?: (a: U, b: U) => boolean): Observable<U>;
}

export interface NamespaceStatus {
  readonly release: string;
  readonly state: 'applied' | 'rejected' | 'loading' | 'missing';
  readonly error?: string;
  readonly freshness: Freshness | FreshnessToCome;
}

/** Configuration, for reading. Publishing and rolling back are the center's. `client.config` */
export interface Configs {
  /** @throws ConfigInvalidError, ConfigUnavailableError (rejects) as `start` decides. */
  ref<C extends object>(configClass: ConfigClassRef<C>): Promise<ConfigRef<C>>;
  document$(namespace: string): Observable<DocumentView>;
  /** All namespaces in use, one emission per revision: releases of several namespaces arrive as one. */
  snapshot$(): Observable<ReadonlyMap<string, DocumentView>>;
  /** One plain key. Never errors; the default while it is missing or unreadable. */
  value$<T>(key: string, options: { readonly codec?: Codec<T>; readonly default: T }): Observable<T>;
  readonly status$: Observable<ReadonlyMap<string, NamespaceStatus>>;
}

/** Errors to come, with the codes `config-invalid` and `config-unavailable`. */
export interface ConfigInvalidDetails {
  readonly key: string;
  readonly revision: Revision;
  readonly violations: readonly string[];
}
