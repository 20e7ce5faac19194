import {
  checkedName,
  type ConfigValue,
  encodeSegment,
  formatRef,
  type InstanceTraits,
  parseRef,
} from '@conclave/config-model';
import { hostname, networkInterfaces } from 'node:os';
import { type CacheFiles, nodeCacheFiles } from '../cache/cache-files.js';
import { type CacheStore } from '../cache/cache-store.js';
import { fileCache } from '../cache/file-cache.js';
import { type OnConfigWarning } from '../cache/warning.js';
import { type Duration, durationMs } from '../duration.js';
import { InvalidArgumentError } from '../errors.js';
import { SecretKeys } from './secret-keys.js';

/** Whose configuration: an app in an environment, and what this instance is for gray rules. */
export interface ConfigIdentity {
  readonly app: string;
  /** Default `dev`. */
  readonly env?: string;
  /** Default: host name and process. Two running processes of an app must not share one. */
  readonly instanceId?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** For rules by address; default: the first address of this host that is not a loopback one, IPv4 first. */
  readonly address?: string;
}

/** What a start does when the store is not reached. */
export type StartMode = 'require-live' | 'allow-cached' | 'defaults';

export interface ConfigOptions extends ConfigIdentity {
  readonly start?: {
    /**
     * Default `allow-cached`: wait up to `timeout` for the store, then start with the cache, and fail when there is none.
     * `require-live`: fail without the store. `defaults`: as `allow-cached`, then with the values of the application and the defaults.
     */
    readonly mode?: StartMode;
    /** Default 5 s. */
    readonly timeout?: Duration;
  };
  /** Default: {@link fileCache}. False: nothing survives a restart. */
  readonly cache?: CacheStore | false;
  /**
   * A file of values that win over everything: `{ "version": 1, "entries": { "<namespace>": { "<path>": <value>, … } } }`, null deletes.
   * Read at the start and whenever it changes, looked for every 5 s.
   */
  readonly overrideFile?: string;
  /** The application's own configuration: below the store, above the defaults of the class. */
  readonly moduleValues?: (path: string, namespace: string) => ConfigValue | undefined;
  /** Default: the environment of this process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Tell the store what this instance runs (`/conclave/instances/…`, bound to a lease). Default true. */
  readonly report?: boolean;
  /**
   * 32 bytes by key id: opens values that the center sealed for this app. A release with a value that none of them opens is refused,
   * and the last good one stays. Default none.
   */
  readonly secretKeys?: Readonly<Record<string, Uint8Array>>;
  /** How long one namespace of a release waits for the others before they are asked for; default 500 ms. */
  readonly holdRelease?: Duration;
  /** Where the override file is read; default: the files of this machine. */
  readonly files?: Pick<CacheFiles, 'read'>;
}

/** The options with their defaults, checked. */
export interface ConfigSettings {
  readonly app: string;
  readonly env: string;
  readonly traits: InstanceTraits;
  readonly mode: StartMode;
  readonly startMs: number;
  readonly holdMs: number;
  readonly cache: CacheStore | undefined;
  readonly overrideFile: string | undefined;
  readonly files: Pick<CacheFiles, 'read'>;
  readonly moduleValue: (path: string, namespace: string) => ConfigValue | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly report: boolean;
  readonly secretKeys: SecretKeys;
  readonly warn: OnConfigWarning;
}

/** @throws InvalidArgumentError for options that cannot work. */
export function settingsOf(options: ConfigOptions, warn: OnConfigWarning): ConfigSettings {
  const cache = options.cache ?? fileCache({ onWarning: warn });
  const instanceId = options.instanceId ?? `${hostname()}-${process.pid}`;
  const address = options.address ?? hostAddress();
  const holdMs = durationMs(options.holdRelease ?? '500ms', 'config.holdRelease');
  if (holdMs === 0) throw new InvalidArgumentError('config.holdRelease: 0 must be longer than nothing');
  return {
    app: named(() => encodeSegment(options.app, 'config.app') && options.app),
    env: named(() => checkedName(options.env ?? 'dev', 'config.env')),
    traits: {
      instanceId: named(() => encodeSegment(instanceId, 'config.instanceId') && instanceId),
      labels: options.labels ?? {},
      address,
    },
    mode: options.start?.mode ?? 'allow-cached',
    startMs: durationMs(options.start?.timeout ?? '5s', 'config.start.timeout'),
    holdMs,
    cache: cache === false ? undefined : cache,
    overrideFile: options.overrideFile,
    files: options.files ?? nodeCacheFiles,
    moduleValue: options.moduleValues ?? (() => undefined),
    environment: options.environment ?? process.env,
    report: options.report ?? true,
    secretKeys: new SecretKeys(options.secretKeys ?? {}),
    warn,
  };
}

/**
 * `app/namespace` for a namespace as it is asked for: of the own app, or `app/namespace` of another.
 *
 * @throws InvalidArgumentError when it is neither.
 */
export function namespaceName(settings: Pick<ConfigSettings, 'app'>, asked: string): string {
  return named(() =>
    formatRef(asked.includes('/') ? parseRef(asked) : { app: settings.app, namespace: asked }),
  );
}

/** The other way: without the app when it is the own one. */
export function shownName(settings: Pick<ConfigSettings, 'app'>, name: string): string {
  const own = `${encodeSegment(settings.app)}/`;
  return name.startsWith(own) ? parseRef(name).namespace : name;
}

/** The refusals of the model as the SDK's own. */
function named<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function hostAddress(): string | undefined {
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((address) => !address.internal);
  return (addresses.find((address) => address.family === 'IPv4') ?? addresses[0])?.address;
}
