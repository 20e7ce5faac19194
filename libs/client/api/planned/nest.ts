import type { CanActivate, DynamicModule, Type } from '@nestjs/common';
import type {
  ClientOptions,
  ConclaveClient,
  ConfigChange,
  ConfigClassOptions,
  ConfigClassRef,
  ConfigOptions,
  ConfigPropertyOptions,
  Duration,
  LockHandle,
  LossReason,
} from '../../src/index.js';

export interface ConclaveModuleOptions extends Omit<ClientOptions, 'config'>, Partial<ConfigOptions> {
  /** Of this connection; default `default`. */
  readonly name?: string;
  readonly isGlobal?: boolean;
  /** Work under locks and leaderships may take so long to end at shutdown; default 8 s, always less than the TTL. */
  readonly shutdown?: { readonly drain?: Duration };
}

export interface ConclaveModuleAsyncOptions {
  readonly name?: string;
  readonly isGlobal?: boolean;
  readonly imports?: DynamicModule['imports'];
  readonly inject?: readonly unknown[];
  readonly useFactory: (...dependencies: never[]) => ConclaveModuleOptions | Promise<ConclaveModuleOptions>;
}

export interface FeatureOptions {
  readonly elections?: readonly string[];
  readonly locks?: readonly string[];
  /** Of the connection; default `default`. */
  readonly name?: string;
}

export declare class ConclaveModule {
  static forRoot(options: ConclaveModuleOptions): DynamicModule;
  static forRootAsync(options: ConclaveModuleAsyncOptions): DynamicModule;
  static forFeature(
    configClasses: readonly ConfigClassRef<object>[],
    options?: FeatureOptions,
  ): DynamicModule;
}

export declare function InjectConclave(name?: string): ParameterDecorator;
export declare function InjectLock(lock: string, name?: string): ParameterDecorator;
export declare function InjectElection(election: string, name?: string): ParameterDecorator;
/** A ConfigRef, or with `as: 'proxy'` an object of the class itself whose properties always read the newest value. */
export declare function InjectConfig(
  configClass: ConfigClassRef<object>,
  options?: { readonly as?: 'ref' | 'proxy'; readonly name?: string },
): ParameterDecorator;
export declare function getConclaveToken(name?: string): symbol;
export declare function getLockToken(lock: string, name?: string): symbol;
export declare function getElectionToken(election: string, name?: string): symbol;
export declare function getConfigToken(configClass: ConfigClassRef<object>, name?: string): symbol;

export declare function ConfigClass(options: ConfigClassOptions): ClassDecorator;
export declare function ConfigKey(path: string, options?: ConfigPropertyOptions): PropertyDecorator;
/** Redacted in logs, health and reports; encrypted in the cache or left out of it. */
export declare function Secret(): PropertyDecorator;

export interface OnConfigChangeOptions {
  readonly keys?: readonly string[];
  /** Also called with the first value; default false. */
  readonly initial?: boolean;
  readonly debounce?: Duration;
  /** `latest` (default): while one call runs, only the newest change waits. `all`: each in turn. */
  readonly concurrency?: 'latest' | 'all';
  readonly name?: string;
}
/** The method gets a {@link ConfigChange}. Its errors are logged and counted, and stop nothing. */
export declare function OnConfigChange(
  configClass: ConfigClassRef<object>,
  options?: OnConfigChangeOptions,
): MethodDecorator;
export type ConfigChangeHandler<C> = (change: ConfigChange<C>) => void | Promise<void>;

export interface WithLockOptions {
  readonly ttl?: Duration;
  readonly wait?: Duration | 'forever' | 0;
  /** `wait` (default) up to `wait`; `throw` LockTimeoutError at once; `skip`: the method is not called and gives undefined. */
  readonly onBusy?: 'throw' | 'skip' | 'wait';
  /** The store does not answer: `throw` (default), or run without the lock, which nothing then protects. */
  readonly onUnavailable?: 'throw' | 'run';
  readonly name?: string;
}
export declare function WithLock<A extends readonly never[]>(
  lock: string | ((...args: A) => string),
  options?: WithLockOptions,
): MethodDecorator;
/** The parameter that gets the {@link LockHandle}. */
export declare function HeldLock(): ParameterDecorator;
export type Holder = LockHandle;

export interface LeaderOnlyOptions {
  /** Default `skip`: gives undefined. */
  readonly onFollower?: 'skip' | 'throw' | ((context: { readonly leader: string | null }) => unknown);
  readonly name?: string;
}
export declare function LeaderOnly(election: string, options?: LeaderOnlyOptions): MethodDecorator;
export declare function LeaderCron(
  expression: string,
  options: {
    readonly election: string;
    readonly name?: string;
    readonly timeZone?: string;
    readonly connection?: string;
  },
): MethodDecorator;
/** The parameter that gets the AbortSignal of the leadership. */
export declare function LeaderSignal(): ParameterDecorator;
export declare function CronOnce(
  expression: string,
  options: {
    readonly name: string;
    readonly ttl?: Duration;
    readonly timeZone?: string;
    readonly connection?: string;
  },
): MethodDecorator;
/** The method gets the Leadership. */
export declare function OnElected(election: string, name?: string): MethodDecorator;
/** The method gets the {@link LossReason} or 'resigned'. */
export declare function OnDeposed(election: string, name?: string): MethodDecorator;
export type Deposition = LossReason | 'resigned';

/** Followers answer with `status` (default 503), or redirect to the URL that the leader proclaimed. */
export declare function LeaderGuard(
  election: string,
  options?: { readonly status?: number; readonly redirectToLeader?: boolean; readonly name?: string },
): Type<CanActivate>;

/** For @nestjs/terminus: up, degraded (stale or cached), down (never loaded, or a leader past its deadline). */
export declare class ConclaveHealthIndicator {
  isHealthy(
    key: string,
    options?: { readonly maxStale?: Duration; readonly name?: string },
  ): Promise<Record<string, { readonly status: 'up' | 'degraded' | 'down' }>>;
}

/** For `ConfigModule.forRoot({ load: [configCenterLoader({ … })] })`: the values at the start, before any module. */
export declare function configCenterLoader(
  options: ConclaveModuleOptions & { readonly namespaces: readonly string[] },
): () => Promise<Record<string, unknown>>;
export type Connected = ConclaveClient;
