import type { Observable } from 'rxjs';
import type {
  CallOptions,
  Duration,
  Entry,
  Key,
  RangeOptions,
  Revision,
  TlsOptions,
} from '../../src/index.js';

/**
 * Who the client is. With a password it logs in by itself, and again when a token is refused as invalid or expired: once per
 * refusal for all calls together, never in a loop. With `token` it asks the function instead. A wrong password is an
 * UnauthorizedError of every call until the credentials are replaced.
 */
export type Credentials =
  | { readonly username: string; readonly password: string | (() => Promise<string>) }
  | { readonly token: () => Promise<string> };

/** Files are read again when they change, or at the latest every `reloadEvery`; connections made after that use them. */
export interface TlsFiles {
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly serverName?: string;
  /** Default 1 minute. */
  readonly reloadEvery?: Duration;
}

/** Lines for people. Compatible with pino, console and Nest's logger. */
export interface LoggerLike {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** What the SDK counts and measures; `prometheusMeter(registry)` and an OpenTelemetry adapter implement it. */
export interface ClientMeter {
  count(name: ClientMetric, labels: Readonly<Record<string, string>>, by?: number): void;
  measure(name: ClientMetric, labels: Readonly<Record<string, string>>, seconds: number): void;
}
export type ClientMetric =
  | 'conclave_client_calls_total'
  | 'conclave_client_call_seconds'
  | 'conclave_client_retries_total'
  | 'conclave_client_watch_resyncs_total'
  | 'conclave_client_keepalive_delay_seconds'
  | 'conclave_client_losses_total'
  | 'conclave_client_config_rejections_total';

/** A tracer of @opentelemetry/api has this shape. */
export interface TracerLike {
  startActiveSpan<T>(
    name: string,
    options: { attributes?: Record<string, string | number | boolean> },
    fn: (span: SpanLike) => T,
  ): T;
}
export interface SpanLike {
  setAttribute(name: string, value: string | number | boolean): unknown;
  recordException(error: Error): void;
  end(): void;
  spanContext(): { readonly traceId: string; readonly spanId: string; readonly traceFlags: number };
}

/** Added to ClientOptions. */
export interface ClientOptionsToCome {
  readonly auth?: Credentials;
  readonly tls?: TlsOptions | TlsFiles;
  /**
   * Learn further members from the ones that are known (the member list, every `every`), and stop using those that left.
   * Default off: behind a proxy or a port mapping members advertise what this process cannot reach.
   */
  readonly discovery?: { readonly every?: Duration };
  /**
   * Reads never answer from before what this client has seen, whichever member they reach: a serializable answer with an
   * older revision is asked again elsewhere. Default true.
   */
  readonly monotonicReads?: boolean;
  /** Repeats per second over all calls of the client, kept up to ten seconds; a call beyond it fails as it is. Default 10. */
  readonly retryBudget?: number;
  readonly telemetry?: {
    readonly tracer?: TracerLike;
    readonly meter?: ClientMeter;
    readonly logger?: LoggerLike;
  };
}

export interface PageOptions extends RangeOptions, CallOptions {
  /** Entries per request; default 1,000. */
  readonly pageSize?: number;
}

/** Added to Kv. */
export interface KvToCome {
  /**
   * A range of any size, a page at a time, all at the revision of the first page. Only ascending by key.
   *
   * @throws CompactedError when that revision was compacted before the last page.
   */
  pages(key: Key, options?: PageOptions): AsyncIterable<readonly Entry[]>;
  /** The same as one stream of the server, where it has RangeStream; pages otherwise. */
  stream(key: Key, options?: PageOptions): AsyncIterable<Entry>;
}

export interface MemberInfo {
  readonly id: bigint;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

export interface MemberStatus {
  readonly endpoint: string;
  readonly memberId: bigint;
  readonly leaderId: bigint;
  readonly version: string;
  readonly revision: Revision;
  readonly raftTerm: bigint;
  readonly raftIndex: bigint;
  readonly appliedIndex: bigint;
  readonly databaseBytes: bigint;
  readonly isLearner: boolean;
  readonly errors: readonly string[];
}

/** The members behind the endpoints. `client.cluster` */
export interface ClusterApi {
  members(options?: CallOptions & { readonly linearizable?: boolean }): Promise<readonly MemberInfo[]>;
  /** Of one member, asked directly. */
  status(endpoint: string, options?: CallOptions): Promise<MemberStatus>;
  /** The endpoints in use now, and each change of them. */
  readonly endpoints$: Observable<readonly string[]>;
}
