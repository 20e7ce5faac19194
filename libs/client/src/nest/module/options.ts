import { type InjectionToken, type ModuleMetadata, type OptionalFactoryDependency } from '@nestjs/common';
import { type ClientOptions, type ConclaveClient } from '../../client.js';
import { type ConfigOptions } from '../../config/config-options.js';
import { type Duration } from '../../duration.js';
import { type MetricsOptions } from '../metrics/metrics-options.js';

/**
 * A connection of a Nest application: the options of the client and, beside them, whose configuration it reads (`app` and so on;
 * without an `app` there are only plain keys).
 */
export interface ConclaveModuleOptions extends Omit<ClientOptions, 'config'>, Partial<ConfigOptions> {
  /** Of this connection; default `default`. */
  readonly name?: string;
  /** Whether every module can inject the client without importing this one; default false. `forFeature` needs it in no case. */
  readonly isGlobal?: boolean;
  readonly shutdown?: {
    /** Work under locks and leaderships may take so long to end at shutdown; default 8 s, always less than the TTL. */
    readonly drain?: Duration;
  };
  /** Of every election that decorators and guards of this connection name. */
  readonly elections?: RoleOptions;
  /** Which namespaces `ConfigService` of @nestjs/config reads live; default: those of the config classes of `forFeature`. */
  readonly configService?: ConfigServiceOptions | false;
  /** Metrics of the application and this client in a registry of prom-client: true for its default one; default false. */
  readonly metrics?: MetricsOptions | boolean;
  /** Makes the client; default {@link createClient}. For tests. */
  readonly clientFactory?: (options: ConclaveModuleOptions) => ConclaveClient;
}

export interface RoleOptions {
  /** Default 15 s: how long after the last sign of life of a leader the next one may lead. */
  readonly ttl?: Duration;
  /** After a leadership, how long until this process is a candidate again; default 1 s. */
  readonly cooldown?: Duration;
  /**
   * The URL at which this instance is reached, which it proclaims while it leads; `LeaderGuard` redirects there. A function is asked
   * each time it is elected, for what is known only when the application listens. Default: host and process are proclaimed.
   */
  readonly advertiseUrl?: string | (() => string | Promise<string>);
}

export interface ConfigServiceOptions {
  /** Of the app, or `app/namespace` of public ones. Where several have a path, the first one wins. */
  readonly namespaces?: readonly string[];
}

/** What stands beside `useFactory` holds unless the factory gives something else for it; `name` and `isGlobal` stand here only. */
export interface ConclaveModuleAsyncOptions extends Partial<ConclaveModuleOptions> {
  readonly imports?: ModuleMetadata['imports'];
  readonly inject?: readonly (InjectionToken | OptionalFactoryDependency)[];
  readonly useFactory: (
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what is injected has the types that the application gives it
    ...dependencies: any[]
  ) => Partial<ConclaveModuleOptions> | Promise<Partial<ConclaveModuleOptions>>;
}

export interface FeatureOptions {
  /** Elections that this module injects. */
  readonly elections?: readonly string[];
  /** Locks that this module injects. */
  readonly locks?: readonly string[];
  /** Of the connection; default `default`. */
  readonly name?: string;
}
