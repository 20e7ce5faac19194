import { type Observable } from 'rxjs';
import { Backoff, type BackoffOptions, defaultBackoff } from './backoff.js';
import { abortable, settledWithin } from './cancellation.js';
import { type ConcurrencyContext } from './concurrency/context.js';
import { LocalQueues } from './concurrency/local-queue.js';
import { Elections, Locks } from './concurrency/locks.js';
import { SessionPool } from './concurrency/session-pool.js';
import { type ConfigOptions } from './config/config-options.js';
import { Configs } from './config/configs.js';
import { Connection } from './connection/connection.js';
import { type ConnectionState } from './connection/connection-state.js';
import { type Duration, durationMs } from './duration.js';
import { ClosedError, InvalidArgumentError } from './errors.js';
import { grpcTransport } from './grpc-transport.js';
import { type ClientWarning, type Host, nodeHost } from './host.js';
import { KeyNamespace } from './key-range.js';
import { type KvStore } from './kv-store.js';
import { Kv } from './kv/kv.js';
import { Leases } from './lease/leases.js';
import { RemoteKvStore } from './remote-kv-store.js';
import { type Clock, nodeRuntime, type Runtime } from './runtime.js';
import { Schedules } from './services/schedules.js';
import { Services } from './services/services.js';
import { Topics } from './services/topics.js';
import { type TlsOptions, type TransportFactory } from './transport.js';
import { Watches } from './watch/watches.js';

export interface RetryOptions {
  /** Upper bound of the first delay; default 100 ms. */
  readonly base?: Duration;
  /** No delay is longer; default 5 s. */
  readonly max?: Duration;
  /** Default `full`. */
  readonly jitter?: 'full' | 'decorrelated';
}

export interface ClientOptions {
  /** Addresses of members (`http://host:port`, `https://host:port` or `host:port`), fixed or changing. */
  readonly endpoints: readonly string[] | Observable<readonly string[]>;
  /** Put before every key, taken off every key that arrives; never applied to keys under `/conclave/`. Default none. */
  readonly keyPrefix?: string;
  /** Bound of a call with all its retries; default 5 s. */
  readonly requestTimeout?: Duration;
  /** How long one member may take to answer when connecting; default 2 s. */
  readonly dialTimeout?: Duration;
  /** HTTP/2 pings that find dead connections; default 10 s and 3 s. */
  readonly keepalive?: { readonly time?: Duration; readonly timeout?: Duration };
  readonly retry?: RetryOptions;
  /** Watches and leases refuse members without a leader; default true. */
  readonly requireLeader?: boolean;
  /** Used for endpoints that begin with `https://`. */
  readonly tls?: TlsOptions;
  /** Default: the clock of this process. */
  readonly clock?: Clock;
  /** A number in [0, 1), for jitter; default Math.random. */
  readonly random?: () => number;
  /** Told what the application should know, such as a blocked event loop. Default: a warning of the process. */
  readonly onWarning?: (warning: ClientWarning) => void;
  /** Whose configuration `config` reads; without it only plain keys. */
  readonly config?: ConfigOptions;
  /** Default: the transport of @conclave/grpc. */
  readonly transport?: TransportFactory;
}

export interface CloseOptions {
  /** How long to wait for locks to be released and leases to be revoked; default 5 s. */
  readonly drain?: Duration;
}

/** A client of one cluster. It connects on first use, or when {@link ready} is called. */
export interface ConclaveClient extends AsyncDisposable {
  readonly kv: Kv;
  readonly watch: Watches;
  readonly leases: Leases;
  readonly locks: Locks;
  readonly elections: Elections;
  readonly services: Services;
  readonly topics: Topics;
  readonly schedules: Schedules;
  readonly config: Configs;
  /** Replays the newest; completes after `closed`. */
  readonly connection$: Observable<ConnectionState>;
  /** The port below everything else. */
  readonly store: KvStore;
  /** Resolves when connected. @throws ClosedError, CancelledError (rejects). */
  ready(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Ends waits, releases what is held, revokes the leases, closes the connection. Bounded; never rejects. */
  close(options?: CloseOptions): Promise<void>;
}

/** @throws InvalidArgumentError for options that cannot work. */
export function createClient(options: ClientOptions): ConclaveClient {
  const runtime: Runtime = {
    clock: options.clock ?? nodeRuntime.clock,
    random: options.random ?? nodeRuntime.random,
  };
  const backoff = backoffOf(options.retry ?? {});
  const connection = new Connection({
    endpoints: options.endpoints,
    transports: options.transport ?? grpcTransport,
    runtime,
    backoff,
    dialTimeoutMs: positive(options.dialTimeout ?? '2s', 'dialTimeout'),
    keepalive: {
      timeMs: positive(options.keepalive?.time ?? '10s', 'keepalive.time'),
      timeoutMs: positive(options.keepalive?.timeout ?? '3s', 'keepalive.timeout'),
    },
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    metadata,
  });
  const store = new RemoteKvStore(connection, {
    runtime,
    requestTimeoutMs: positive(options.requestTimeout ?? '5s', 'requestTimeout'),
    retry: backoff,
    metadata,
    requireLeader: options.requireLeader ?? true,
  });
  const network: ClientNetwork = {
    connection$: connection.state$,
    ready: async (signal) => {
      await abortable(connection.acquire(), signal);
    },
    close: () => connection.close(),
  };
  const host: Host = { ...nodeHost, warn: options.onWarning ?? nodeHost.warn };
  return new StoreClient(store, runtime, backoff, options.keyPrefix ?? '', network, host, options.config);
}

const metadata = { 'client-api-version': '3.6' } as const;

function positive(value: Duration, option: string): number {
  const ms = durationMs(value, option);
  if (ms <= 0) throw new InvalidArgumentError(`${option}: ${String(value)} must be longer than nothing`);
  return ms;
}

function backoffOf(retry: RetryOptions): BackoffOptions {
  const baseMs = positive(retry.base ?? defaultBackoff.baseMs, 'retry.base');
  const maxMs = positive(retry.max ?? defaultBackoff.maxMs, 'retry.max');
  if (maxMs < baseMs)
    throw new InvalidArgumentError(`retry.max: ${maxMs} ms is less than retry.base, ${baseMs} ms`);
  return { baseMs, maxMs, jitter: retry.jitter ?? defaultBackoff.jitter };
}

/** What a client does with its way to the store. */
export interface ClientNetwork {
  readonly connection$: Observable<ConnectionState>;
  ready(signal: AbortSignal | undefined): Promise<void>;
  close(): void;
}

/** A client on any KvStore: remote members, a member in this machine, the in-memory store of tests. */
export class StoreClient implements ConclaveClient {
  readonly kv: Kv;
  readonly watch: Watches;
  readonly leases: Leases;
  readonly locks: Locks;
  readonly elections: Elections;
  readonly services: Services;
  readonly topics: Topics;
  readonly schedules: Schedules;
  readonly config: Configs;
  readonly connection$: Observable<ConnectionState>;
  private readonly closing = new AbortController();
  private readonly context: ConcurrencyContext;
  private closed: Promise<void> | undefined;

  constructor(
    readonly store: KvStore,
    private readonly runtime: Runtime,
    backoff: BackoffOptions,
    keyPrefix: string,
    private readonly network: ClientNetwork,
    host: Host = nodeHost,
    config?: ConfigOptions,
  ) {
    const names = new KeyNamespace(keyPrefix);
    const absolute = new KeyNamespace('');
    this.kv = new Kv(store, names);
    this.watch = new Watches(store, names, runtime, backoff);
    this.leases = new Leases(store, names, runtime.clock, host);
    this.connection$ = network.connection$;
    this.context = {
      kv: new Kv(store, absolute),
      watches: new Watches(store, absolute, runtime, backoff),
      leases: this.leases,
      userTxn: () => this.kv.txn(),
      keyPrefix,
      clock: runtime.clock,
      newBackoff: () => new Backoff(backoff, runtime.random),
      random: runtime.random,
      host,
      sessions: new SessionPool(this.leases),
      queues: new LocalQueues(),
      closing: this.closing.signal,
      open: new Set(),
    };
    this.locks = new Locks(this.context);
    this.elections = new Elections(this.context);
    const { kv, watches, clock, newBackoff, leases } = this.context;
    const { random } = runtime;
    this.config = new Configs(
      { store, kv, watches, prefixedWatches: this.watch, leases, clock, random, newBackoff, warn: host.warn },
      config,
    );
    const prefixed = { ...this.context, kv: this.kv, watches: this.watch };
    this.services = new Services(prefixed);
    this.topics = new Topics(prefixed);
    this.schedules = new Schedules(prefixed);
  }

  ready(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return this.network.ready(options.signal);
  }

  close(options: CloseOptions = {}): Promise<void> {
    this.closed ??= this.shutDown(durationMs(options.drain ?? '5s', 'drain'));
    return this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async shutDown(drainMs: number): Promise<void> {
    this.closing.abort(new ClosedError());
    await settledWithin(this.runtime.clock, drainMs, this.giveBack());
    this.network.close();
  }

  private async giveBack(): Promise<void> {
    await Promise.allSettled([...[...this.context.open].map((item) => item.close()), this.config.close()]);
    await this.context.sessions.close();
    await this.leases.close();
  }
}
