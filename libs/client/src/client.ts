import { setMaxListeners } from 'node:events';
import { type Observable } from 'rxjs';
import { Backoff, type BackoffOptions, defaultBackoff } from './backoff.js';
import { settledWithin } from './cancellation.js';
import { type ClusterApi, noCluster } from './cluster/cluster.js';
import { type ConcurrencyContext } from './concurrency/context.js';
import { LocalQueues } from './concurrency/local-queue.js';
import { Elections, Locks } from './concurrency/locks.js';
import { SessionPool } from './concurrency/session-pool.js';
import { type ConfigOptions } from './config/config-options.js';
import { Configs } from './config/configs.js';
import { type ConnectionState } from './connection/connection-state.js';
import { type Duration, durationMs } from './duration.js';
import { ClosedError, InvalidArgumentError } from './errors.js';
import { type ClientWarning, type Host, nodeHost } from './host.js';
import { KeyNamespace } from './key-range.js';
import { type KvStore } from './kv-store.js';
import { Kv } from './kv/kv.js';
import { Leases } from './lease/leases.js';
import { type NetworkOptions, positive, remoteNetwork } from './remote-network.js';
import { type Clock, nodeRuntime, type Runtime } from './runtime.js';
import { logConnection, observedHost } from './telemetry/observed-host.js';
import { telemetryOf } from './telemetry/telemetry.js';
import { type TelemetryOptions } from './telemetry/telemetry-options.js';
import { Schedules } from './services/schedules.js';
import { Services } from './services/services.js';
import { Topics } from './services/topics.js';
import { type TransportFactory } from './transport.js';
import { Watches } from './watch/watches.js';

export interface RetryOptions {
  /** Upper bound of the first delay; default 100 ms. */
  readonly base?: Duration;
  /** No delay is longer; default 5 s. */
  readonly max?: Duration;
  /** Default `full`. */
  readonly jitter?: 'full' | 'decorrelated';
}

export interface ClientOptions extends NetworkOptions {
  /** Put before every key, taken off every key that arrives; never applied to keys under `/conclave/`. Default none. */
  readonly keyPrefix?: string;
  readonly retry?: RetryOptions;
  /** Default: the clock of this process. */
  readonly clock?: Clock;
  /** A number in [0, 1), for jitter; default Math.random. */
  readonly random?: () => number;
  /** Told what the application should know, such as a blocked event loop. Default: the logger, else a warning of the process. */
  readonly onWarning?: (warning: ClientWarning) => void;
  /** Spans, metrics and lines: `openTelemetry(api)`, `{ meter: prometheusMeter(prom), logger: console }`, or both. Default none. */
  readonly telemetry?: TelemetryOptions;
  /** Whose configuration `config` reads; without it only plain keys. */
  readonly config?: ConfigOptions;
  /** How members are reached; default: gRPC over HTTP/2, as `grpcTransport` gives it. */
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
  readonly cluster: ClusterApi;
  /** Replays the newest; completes after `closed`. */
  readonly connection$: Observable<ConnectionState>;
  /** The port below everything else. */
  readonly store: KvStore;
  /** Resolves when connected. @throws ClosedError, CancelledError (rejects). */
  ready(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /**
   * Takes no more locks and leaderships, as the first step of a shutdown: whoever waits for one gets a ClosedError, and
   * participations in elections end, those of leaders after their leadership. What is held stays held.
   */
  stopAcquiring(): void;
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
  // With a logger, warnings are lines of it.
  const unheard = options.telemetry?.logger === undefined ? nodeHost.warn : () => undefined;
  const own: Host = { ...nodeHost, warn: options.onWarning ?? unheard };
  const host = observedHost(own, telemetryOf(options.telemetry));
  const { store, network } = remoteNetwork(options, runtime, backoff, host);
  return new StoreClient(store, runtime, backoff, options.keyPrefix ?? '', network, host, options.config);
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
  /** The members that can be asked; absent where there are none. */
  readonly cluster?: ClusterApi;
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
  readonly cluster: ClusterApi;
  readonly connection$: Observable<ConnectionState>;
  private readonly closing = manyListenersController();
  private readonly acquiring = manyListenersController();
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
    this.watch = new Watches(store, names, runtime, backoff, host);
    this.leases = new Leases(store, names, runtime.clock, host);
    this.connection$ = network.connection$;
    logConnection(host.telemetry, network.connection$);
    this.cluster = network.cluster ?? noCluster;
    this.context = {
      kv: new Kv(store, absolute),
      watches: new Watches(store, absolute, runtime, backoff, host),
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
      acquiring: this.acquiring.signal,
      open: new Set(),
    };
    this.locks = new Locks(this.context);
    this.elections = new Elections(this.context);
    const { kv, watches, clock, newBackoff, leases } = this.context;
    const { random } = runtime;
    this.config = new Configs(
      {
        store,
        kv,
        watches,
        prefixedWatches: this.watch,
        leases,
        clock,
        random,
        newBackoff,
        warn: host.warn,
        telemetry: host.telemetry,
      },
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

  stopAcquiring(): void {
    this.acquiring.abort(
      new ClosedError('the client takes no more locks and leaderships: it is about to close'),
    );
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
    this.acquiring.abort(new ClosedError());
    await settledWithin(this.runtime.clock, drainMs, this.giveBack());
    this.network.close();
  }

  private async giveBack(): Promise<void> {
    await Promise.allSettled([...[...this.context.open].map((item) => item.close()), this.config.close()]);
    await this.context.sessions.close();
    await this.leases.close();
  }
}

/** Everything that waits listens to the signal: any number of listeners is no leak. */
function manyListenersController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
