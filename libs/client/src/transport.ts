import { type GrpcStatus } from '@conclave/protocol';

/** gRPC metadata: lower-case names, text values. */
export type Metadata = Readonly<Record<string, string>>;

/** A call or stream that ended with a status other than OK, or whose connection failed. */
export class TransportError extends Error {
  override readonly name = 'TransportError';

  constructor(
    readonly code: GrpcStatus,
    message: string,
    /** False only when the request provably never left this process or was refused unprocessed by the server. */
    readonly sent: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface UnaryOptions {
  readonly metadata: Metadata;
  /** The call fails with DeadlineExceeded after so many milliseconds; the server is told as well. */
  readonly timeoutMs: number;
  /** Aborting ends the call with Canceled and tells the server. */
  readonly signal?: AbortSignal;
}

export interface StreamOptions {
  readonly metadata: Metadata;
}

/** Where a stream delivers. Exactly one `end` is the last call, unless the stream was cancelled: then nothing comes. */
export interface TransportObserver {
  /** The bytes are valid during the call only. */
  message(bytes: Uint8Array): void;
  /** `undefined` when the server ended the stream with OK. */
  end(error: TransportError | undefined): void;
}

/** A bidirectional stream. Messages are sent in the order of the calls; sending on an ended stream does nothing. */
export interface TransportStream {
  send(message: Uint8Array): void;
  cancel(): void;
}

/** A stream of answers to one request. */
export interface PausableStream {
  /**
   * Stops and restarts the observer. What arrives meanwhile is bounded by the window of the connection, which the server
   * then finds closed.
   */
  pause(): void;
  resume(): void;
  cancel(): void;
}

/**
 * One connection to one member, as narrow as the SDK can live with. It never reconnects to hide a failure: a lost
 * connection fails its calls and streams, and the SDK decides what to do next.
 */
export interface Transport {
  /** @throws TransportError (rejects) for every status but OK. */
  unary(path: string, request: Uint8Array, options: UnaryOptions): Promise<Uint8Array>;
  stream(path: string, options: StreamOptions, observer: TransportObserver): TransportStream;
  /** One request, many answers. Optional: without it large ranges are read in pages. */
  serverStream?(
    path: string,
    request: Uint8Array,
    options: StreamOptions,
    observer: TransportObserver,
  ): PausableStream;
  /** Fails what still runs with Unavailable and gives up the connection. Idempotent. */
  close(): void;
}

export interface TransportOptions {
  /** HTTP/2 pings on an idle connection, which find half-open connections. */
  readonly keepalive: { readonly timeMs: number; readonly timeoutMs: number };
  readonly tls?: TlsOptions;
  /** Called at most once when the connection ends by itself. */
  readonly onLost: (error: TransportError) => void;
}

/** Certificates in PEM. Used for endpoints that start with `https://` or have no scheme. */
export interface TlsOptions {
  /** Authorities to trust; the system's when absent. */
  readonly ca?: string | Uint8Array;
  /** The client's own certificate and key, for servers that ask for them. */
  readonly cert?: string | Uint8Array;
  readonly key?: string | Uint8Array;
  /** The name to expect in the server's certificate, when it is not the host of the endpoint. */
  readonly serverName?: string;
}

/**
 * Makes the connection to one endpoint (`http://host:port`, `https://host:port`, or `host:port`, which is encrypted when
 * there are TLS options).
 *
 * @throws InvalidArgumentError when the endpoint is no address.
 */
export type TransportFactory = (endpoint: string, options: TransportOptions) => Transport;
