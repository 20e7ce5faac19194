import { PreparedHeaders } from '../hpack/prepared-headers.js';
import { ErrorCode } from '../http2/error-code.js';
import { nodeRuntime } from '../node-runtime.js';
import { type Runtime } from '../runtime.js';
import { GrpcStatus } from '../status.js';
import { type Pipe } from '../transport/pipe.js';
import { TurnFlusher } from '../transport/turn-flusher.js';
import {
  type CallOptions,
  type ChannelSettings,
  type GrpcChannelOptions,
  resolveChannelOptions,
} from './channel-options.js';
import { type CallPlan, type ClientCall, type ClientCallHost } from './client-call.js';
import { ClientConnection, type ClientConnectionOwner } from './client-connection.js';
import { type ClientStream, ClientStreamCall } from './client-stream.js';
import { acceptedEncodings } from './compression.js';
import { DeadlineQueue } from './deadline-queue.js';
import { GrpcError } from './error.js';
import { appendMetadata } from './metadata.js';
import { formatTimeout } from './timeout.js';
import { UnaryClientCall, type UnaryResult } from './unary-client-call.js';

/**
 * `idle`: never connected; the first call connects. `connecting`: calls wait. `ready`. `disconnected`: the connection
 * was lost, could not be made, or drains; calls fail at once until the owner calls `connect` again. `closed`: for ever.
 */
export type ChannelState = 'idle' | 'connecting' | 'ready' | 'disconnected' | 'closed';

const pathFormat = /^\/[!-~]+\/[!-~]+$/;

/** Paths whose request headers are kept encoded. Methods are few; this only bounds mistakes. */
const preparedPathsMax = 1_024;

/**
 * A client of one gRPC server over one HTTP/2 connection. It connects lazily but reconnects only when its owner says so:
 * back-off and the choice of another server are the owner's business.
 *
 * Invariant: `#current` is defined exactly in the states connecting and ready; `#waiting` is empty in all others.
 */
export class GrpcChannel implements ClientConnectionOwner, ClientCallHost {
  /** Called after each change of state, with the reason when a connection was lost or could not be made. */
  onState: ((state: ChannelState, error: GrpcError | undefined) => void) | undefined = undefined;
  readonly maxReceiveBytes: number;
  readonly maxSendBytes: number;
  readonly gzipMinBytes: number;
  readonly deadlines: DeadlineQueue;
  readonly #settings: ChannelSettings;
  readonly #flusher: TurnFlusher;
  readonly #preparedByPath = new Map<string, PreparedHeaders>();
  #state: ChannelState = 'idle';
  #current: ClientConnection | undefined;
  /** Calls without a stream, first come first served. A Set, because a call that is given up leaves from the middle. */
  readonly #waiting = new Set<ClientCall>();
  /** Connections whose pipe is not closed yet; those that drain among them. */
  readonly #connections = new Set<ClientConnection>();
  #connectWaiters: { resolve: () => void; reject: (error: GrpcError) => void }[] = [];
  #goneWaiters: (() => void)[] = [];
  #closedBytesReceived = 0;
  #closedBytesSent = 0;

  /** @throws RangeError when an option makes no sense. */
  constructor(
    private readonly options: GrpcChannelOptions,
    private readonly runtime: Runtime = nodeRuntime,
  ) {
    this.#settings = resolveChannelOptions(options);
    this.maxReceiveBytes = this.#settings.maxReceiveBytes;
    this.maxSendBytes = this.#settings.maxSendBytes;
    this.gzipMinBytes = this.#settings.gzipMinBytes;
    this.#flusher = new TurnFlusher(runtime);
    this.deadlines = new DeadlineQueue(runtime);
  }

  get state(): ChannelState {
    return this.#state;
  }

  /** Calls that run on the current connection or wait for it. */
  get openCalls(): number {
    return this.#waiting.size + (this.#current?.openStreams ?? 0);
  }

  /** Octets on the wire over all connections of this channel, for metrics. */
  get stats(): { readonly bytesReceived: number; readonly bytesSent: number } {
    let bytesReceived = this.#closedBytesReceived;
    let bytesSent = this.#closedBytesSent;
    for (const { stats } of this.#connections) {
      bytesReceived += stats.bytesIn;
      bytesSent += stats.bytesOut;
    }
    return { bytesReceived, bytesSent };
  }

  /**
   * Connects, unless connected already.
   *
   * @throws GrpcError Unavailable when it fails, Canceled when the channel is closed.
   */
  connect(): Promise<void> {
    if (this.#state === 'ready') return Promise.resolve();
    if (this.#state === 'closed') return Promise.reject(closedError(true));
    return new Promise((resolve, reject) => {
      this.#connectWaiters.push({ resolve, reject });
      if (this.#state !== 'connecting') this.#beginConnect();
    });
  }

  /**
   * Calls a method with one request and one answer. The request's bytes belong to the transport until the call ends.
   *
   * @throws GrpcError with the status of the answer, or Unavailable, DeadlineExceeded, Canceled, Internal.
   * @throws TypeError when path or metadata is malformed.
   */
  unary(path: string, request: Uint8Array, options: CallOptions = {}): Promise<UnaryResult> {
    return new Promise((resolve, reject) => {
      this.#start(new UnaryClientCall(this, this.#plan(path, options), request, resolve, reject));
    });
  }

  /**
   * Calls a method of any other kind.
   *
   * @throws TypeError when path or metadata is malformed.
   */
  stream(path: string, options: CallOptions = {}): ClientStream {
    const call = new ClientStreamCall(this, this.#plan(path, options), (error) => this.defect(error));
    // Nothing may happen to the call before its owner has set the callbacks.
    if (this.#current?.canOpenStream === true && this.#waiting.size === 0) this.#start(call);
    else this.runtime.defer(() => this.#start(call));
    return call;
  }

  /** Ends all calls with Canceled and closes the connection. Resolves when it is closed. */
  async close(): Promise<void> {
    if (this.#state !== 'closed') {
      const connections = [...this.#connections];
      this.#current = undefined;
      this.#setState('closed', undefined);
      this.#failWaiting(closedError(true));
      for (const connection of connections) {
        connection.endCalls(closedError(false));
        connection.close(ErrorCode.NO_ERROR, 'the channel is closed');
      }
    }
    if (this.#connections.size > 0) await new Promise<void>((resolve) => this.#goneWaiters.push(resolve));
    this.deadlines.close();
  }

  #plan(path: string, options: CallOptions): CallPlan {
    if (!pathFormat.test(path)) throw new TypeError(`${path} is no method path: use /package.Service/Method`);
    const fields: string[] = [];
    if (options.metadata !== undefined) appendMetadata(fields, options.metadata);
    if (this.#settings.gzip) fields.push('grpc-encoding', 'gzip');
    const { timeoutMs, signal } = options;
    const deadline = timeoutMs === undefined ? Infinity : this.runtime.now() + timeoutMs;
    return { path, fields, deadline, timeoutMs, isGzip: this.#settings.gzip, signal };
  }

  #start(call: ClientCall): void {
    if (call.isEnded) return;
    if (call.plan.signal?.aborted === true) {
      call.cancel();
      return;
    }
    if (this.#state === 'closed' || this.#state === 'disconnected') {
      call.end(this.#state === 'closed' ? closedError(true) : disconnectedError());
      return;
    }
    if (this.#state === 'ready' && this.#waiting.size === 0 && this.#current?.canOpenStream === true) {
      this.#open(this.#current, call);
      return;
    }
    this.#waiting.add(call);
    if (this.#state === 'idle') this.#beginConnect();
  }

  #open(connection: ClientConnection, call: ClientCall): void {
    const { plan } = call;
    let { fields } = plan;
    if (plan.deadline !== Infinity) {
      fields = [...fields, 'grpc-timeout', formatTimeout(plan.deadline - this.runtime.now())];
    }
    call.start(connection, connection.openStream(call, this.#headersOf(plan.path), fields));
  }

  #headersOf(path: string): PreparedHeaders {
    const known = this.#preparedByPath.get(path);
    if (known !== undefined) return known;
    if (this.#preparedByPath.size >= preparedPathsMax) this.#preparedByPath.clear();
    const scheme = this.options.target.tls === undefined ? 'http' : 'https';
    const start = [
      ':method',
      'POST',
      ':scheme',
      scheme,
      ':path',
      path,
      ':authority',
      this.#settings.authority,
    ];
    const rest = [
      'content-type',
      'application/grpc',
      'te',
      'trailers',
      'user-agent',
      this.#settings.userAgent,
    ];
    const prepared = new PreparedHeaders(
      [...start, ...rest, 'grpc-accept-encoding', acceptedEncodings],
      true,
    );
    this.#preparedByPath.set(path, prepared);
    return prepared;
  }

  #beginConnect(): void {
    this.#setState('connecting', undefined);
    let pipe: Pipe;
    try {
      pipe = this.runtime.connect(this.options.target);
    } catch (cause) {
      // A certificate or key that cannot be read, or a port out of range.
      const message = `cannot connect: ${cause instanceof Error ? cause.message : String(cause)}`;
      this.#disconnected(new GrpcError(GrpcStatus.Unavailable, message, { cause }));
      return;
    }
    const connection = new ClientConnection(this, this.runtime, pipe, this.#flusher, this.#settings.drive);
    this.#current = connection;
    this.#connections.add(connection);
  }

  #startWaiting(connection: ClientConnection): void {
    for (const call of this.#waiting) {
      if (!connection.canOpenStream) return;
      this.#waiting.delete(call);
      this.#open(connection, call);
    }
  }

  #failWaiting(error: GrpcError): void {
    for (const call of [...this.#waiting]) call.end(error);
    for (const { reject } of this.#connectWaiters.splice(0)) reject(error);
  }

  #setState(state: ChannelState, error: GrpcError | undefined): void {
    this.#state = state;
    try {
      this.onState?.(state, error);
    } catch (thrown) {
      this.defect(thrown);
    }
  }

  #lose(connection: ClientConnection, error: GrpcError): void {
    if (connection === this.#current) this.#disconnected(error);
  }

  #disconnected(error: GrpcError): void {
    this.#current = undefined;
    const notSent = new GrpcError(GrpcStatus.Unavailable, error.message, {
      notSent: true,
      cause: error.cause,
    });
    this.#failWaiting(notSent);
    if (this.#state !== 'closed') this.#setState('disconnected', notSent);
  }

  // What connections and calls tell their channel.

  forget(call: ClientCall): void {
    this.#waiting.delete(call);
  }

  connectionReady(connection: ClientConnection): void {
    if (connection !== this.#current) return;
    this.#setState('ready', undefined);
    for (const { resolve } of this.#connectWaiters.splice(0)) resolve();
    this.#startWaiting(connection);
  }

  connectionDraining(connection: ClientConnection, reason: string): void {
    this.#lose(
      connection,
      new GrpcError(GrpcStatus.Unavailable, `the connection takes no more calls: ${reason}`),
    );
  }

  connectionHasRoom(connection: ClientConnection): void {
    if (connection === this.#current && this.#waiting.size > 0) this.#startWaiting(connection);
  }

  connectionOver(connection: ClientConnection, error: GrpcError): void {
    this.#lose(connection, error);
  }

  connectionGone(connection: ClientConnection): void {
    this.#connections.delete(connection);
    this.#closedBytesReceived += connection.stats.bytesIn;
    this.#closedBytesSent += connection.stats.bytesOut;
    if (this.#connections.size > 0) return;
    for (const resolve of this.#goneWaiters.splice(0)) resolve();
  }

  defect(error: unknown): void {
    this.options.onDefect?.(error);
  }
}

function closedError(notSent: boolean): GrpcError {
  return new GrpcError(GrpcStatus.Canceled, 'the channel is closed', { notSent });
}

function disconnectedError(): GrpcError {
  return new GrpcError(GrpcStatus.Unavailable, 'there is no connection available', { notSent: true });
}
