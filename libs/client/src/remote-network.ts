import { isObservable, type Observable } from 'rxjs';
import { checkCredentials, type Credentials } from './auth/credentials.js';
import { Tokens } from './auth/tokens.js';
import { type BackoffOptions } from './backoff.js';
import { abortable } from './cancellation.js';
import { type ClientNetwork, type ClientOptions } from './client.js';
import { RemoteCluster } from './cluster/cluster.js';
import { Discovery } from './cluster/discovery.js';
import { Caller } from './connection/caller.js';
import { Connection } from './connection/connection.js';
import { parseEndpoint } from './connection/endpoint.js';
import { RetryBudget } from './connection/retry-budget.js';
import { type Duration, durationMs } from './duration.js';
import { classify } from './error-mapping.js';
import { InvalidArgumentError } from './errors.js';
import { grpcTransport } from './grpc-transport.js';
import { type Host } from './host.js';
import { RemoteKvStore } from './remote-kv-store.js';
import { type Runtime } from './runtime.js';
import { methodLabel, observedTransports } from './telemetry/observed-transport.js';
import { type TlsFiles } from './tls/tls-options.js';
import { tlsSource } from './tls/tls-source.js';
import { type TlsOptions } from './transport.js';

/** How a client finds its members, and how it talks to them. */
export interface NetworkOptions {
  /**
   * Addresses of members (`http://host:port`, `https://host:port`, or `host:port`, which is encrypted when `tls` is given),
   * fixed or changing.
   */
  readonly endpoints: readonly string[] | Observable<readonly string[]>;
  /** Bound of a call with all its retries; default 5 s. */
  readonly requestTimeout?: Duration;
  /** How long one member may take to answer when connecting; default 2 s. */
  readonly dialTimeout?: Duration;
  /** HTTP/2 pings that find dead connections; default 10 s and 3 s. */
  readonly keepalive?: { readonly time?: Duration; readonly timeout?: Duration };
  /** Watches and leases refuse members without a leader; default true. */
  readonly requireLeader?: boolean;
  /** Default: nobody; then a server with authentication refuses calls with UnauthorizedError. */
  readonly auth?: Credentials;
  /** Certificates, as content or as files; default: the system's authorities, for endpoints that begin with `https://`. */
  readonly tls?: TlsOptions | TlsFiles;
  /**
   * Learn further members from the ones that are known (the member list, every `every`, default 30 s, ±20 %), and stop
   * using those that left. `endpoints` are then used until the first list is there, and when none of its members answers.
   * Default off: behind a proxy or a port mapping members advertise what this process cannot reach.
   */
  readonly discovery?: { readonly every?: Duration };
  /**
   * Reads never answer from before what this client has seen, whichever member they reach: a serializable answer with an
   * older revision is asked for again, through the leader. Default true.
   */
  readonly monotonicReads?: boolean;
  /**
   * Repeats per second over all calls of the client, kept up to ten seconds; a call beyond it fails as it is. First attempts
   * are never held back. Default 10; 0: no repeats.
   */
  readonly retryBudget?: number;
}

const metadata = { 'client-api-version': '3.6' } as const;

/** The way to remote members, and the store behind it. @throws InvalidArgumentError */
export function remoteNetwork(
  options: ClientOptions,
  runtime: Runtime,
  backoff: BackoffOptions,
  host: Host,
): { readonly store: RemoteKvStore; readonly network: ClientNetwork } {
  checkEncryption(options);
  const { clock } = runtime;
  const warn = host.warn.bind(host);
  const requestTimeoutMs = positive(options.requestTimeout ?? '5s', 'requestTimeout');
  const credentials = options.auth === undefined ? undefined : checkCredentials(options.auth);
  const tokens = new Tokens({
    credentials,
    metadata,
    clock,
    timeoutMs: requestTimeoutMs,
    warn,
    unanswered: (link, error) => connection.report(link, classify(error)),
  });
  const connection: Connection = new Connection({
    endpoints: options.endpoints,
    transports: observedTransports(options.transport ?? grpcTransport, host.telemetry, clock),
    runtime,
    backoff,
    dialTimeoutMs: positive(options.dialTimeout ?? '2s', 'dialTimeout'),
    keepalive: {
      timeMs: positive(options.keepalive?.time ?? '10s', 'keepalive.time'),
      timeoutMs: positive(options.keepalive?.timeout ?? '3s', 'keepalive.timeout'),
    },
    tls: tlsSource(options.tls, { clock, warn }),
    tokens,
    warn,
  });
  const caller = new Caller(connection, {
    runtime,
    requestTimeoutMs,
    retry: backoff,
    tokens,
    budget: budgetOf(options.retryBudget ?? 10, runtime),
    monotonicReads: options.monotonicReads ?? true,
    onRetry: (path) =>
      host.telemetry?.meter?.count('conclave_client_retries_total', { method: methodLabel(path) }),
  });
  const cluster = new RemoteCluster(connection, caller, requestTimeoutMs);
  const discovery = discoveryOf(options, runtime, connection, cluster);
  const network: ClientNetwork = {
    connection$: connection.state$,
    cluster,
    ready: async (signal) => {
      await abortable(connection.acquire(), signal);
    },
    close: () => {
      discovery?.stop();
      connection.close();
    },
  };
  const requireLeader = options.requireLeader ?? true;
  return { store: new RemoteKvStore(connection, caller, tokens, { requireLeader }), network };
}

function discoveryOf(
  options: ClientOptions,
  runtime: Runtime,
  connection: Connection,
  cluster: RemoteCluster,
): Discovery | undefined {
  if (options.discovery === undefined) return undefined;
  return new Discovery({
    cluster,
    connection$: connection.state$,
    runtime,
    everyMs: positive(options.discovery.every ?? '30s', 'discovery.every'),
    found: (members) => connection.discover(members),
  });
}

/** Whoever gives certificates does not expect every connection to do without them. */
function checkEncryption({ endpoints, tls, discovery }: ClientOptions): void {
  if (tls === undefined || discovery !== undefined || isObservable(endpoints)) return;
  const areClear =
    endpoints.length > 0 && endpoints.every((endpoint) => parseEndpoint(endpoint).scheme === 'http');
  if (!areClear) return;
  throw new InvalidArgumentError(
    'tls: no endpoint is encrypted; write https://, or host:port without a scheme',
  );
}

function budgetOf(perSecond: number, { clock }: Runtime): RetryBudget {
  if (!Number.isFinite(perSecond) || perSecond < 0) {
    throw new InvalidArgumentError(`retryBudget: ${perSecond} is no number of repeats per second from 0 on`);
  }
  return new RetryBudget(perSecond, clock);
}

/** @throws InvalidArgumentError for a duration that is malformed or nothing. */
export function positive(value: Duration, option: string): number {
  const ms = durationMs(value, option);
  if (ms <= 0) throw new InvalidArgumentError(`${option}: ${String(value)} must be longer than nothing`);
  return ms;
}
