import { type CloseReason } from '../http2/events.js';
import { ErrorCode } from '../http2/error-code.js';
import { nodeRuntime } from '../node-runtime.js';
import { type Runtime } from '../runtime.js';
import { type Pipe } from '../transport/pipe.js';
import { TurnFlusher } from '../transport/turn-flusher.js';
import { DeadlineQueue } from './deadline-queue.js';
import { Router } from './route.js';
import { ServerConnection, type ServerCore } from './server-connection.js';
import {
  type GrpcServerOptions,
  positive,
  resolveServerOptions,
  type ServerSettings,
} from './server-options.js';
import { type ServerStats } from './server-stats.js';
import { type ServerMethod } from './service.js';

/** Limits of one method that differ from its server's. */
export interface MethodOptions {
  readonly maxReceiveBytes?: number;
}

const noBytes = new Uint8Array(0);

/**
 * A gRPC server without a port: connections are given to it with {@link serve}, by `openPort`, by a listener of another
 * kind or by a test.
 *
 * ```ts
 * const server = new GrpcServer({});
 * server.register('/echo.Echo/Say', { kind: 'unary', handle: (request, call) => call.respond(request.slice()) });
 * await openPort(nodeRuntime, { port: 2379 }, { http2: (pipe, head) => server.serve(pipe, head) });
 * ```
 */
export class GrpcServer {
  readonly #settings: ServerSettings;
  readonly #router: Router;
  readonly #deadlines: DeadlineQueue;
  readonly #core: ServerCore;
  /** Connections whose pipe is not closed yet. */
  readonly #connections = new Set<ServerConnection>();
  #connectionsAccepted = 0;
  readonly #connectionsFailed = new Map<number, number>();
  #closedBytesReceived = 0;
  #closedBytesSent = 0;
  #isDraining = false;
  /** No call may run any more. */
  #isClosed = false;
  #onEmpty: (() => void)[] = [];

  /** @throws RangeError when an option makes no sense. */
  constructor(
    options: GrpcServerOptions = {},
    private readonly runtime: Runtime = nodeRuntime,
  ) {
    this.#settings = resolveServerOptions(options);
    this.#router = new Router(options.onHttp2Request !== undefined, options.countCallsBy);
    this.#deadlines = new DeadlineQueue(runtime);
    this.#core = {
      runtime,
      settings: this.#settings,
      router: this.#router,
      flusher: new TurnFlusher(runtime),
      deadlines: this.#deadlines,
      onHandled: options.onHandled,
      onHttp2Request: options.onHttp2Request,
      defect: (error, where) => options.onDefect?.(error, where),
      connectionOver: (reason) => this.#connectionOver(reason),
      connectionGone: (connection) => this.#connectionGone(connection),
    };
  }

  /**
   * Serves `method` at `/package.Service/Method`.
   *
   * @throws TypeError when the path is malformed.
   * @throws RangeError when it is taken, or a limit makes no sense.
   */
  register(path: string, method: ServerMethod, options: MethodOptions = {}): void {
    const maxReceiveBytes = options.maxReceiveBytes ?? this.#settings.maxReceiveBytes;
    this.#router.register(path, method, positive('maxReceiveBytes', maxReceiveBytes));
  }

  /** Takes over a connection of a client. `firstBytes` were already read from it. */
  serve(pipe: Pipe, firstBytes: Uint8Array = noBytes): void {
    if (this.#isClosed) {
      pipe.destroy();
      return;
    }
    const connection = new ServerConnection(this.#core, pipe);
    this.#connections.add(connection);
    this.#connectionsAccepted++;
    if (firstBytes.length > 0) connection.onBytes(firstBytes);
    if (this.#isDraining) connection.drain();
  }

  /** True from the first call of `drain` or `close` on. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /**
   * Lets running calls finish and refuses new ones (GOAWAY), then closes. Calls that still run after `graceMs` are cut.
   * Resolves when every connection is closed.
   */
  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true;
    for (const connection of this.#connections) connection.drain();
    const timer = this.runtime.after(graceMs, () => this.#closeAll());
    await this.#whenEmpty();
    timer.cancel();
    await this.close();
  }

  /** Cuts all calls and closes every connection. Resolves when that is done. */
  async close(): Promise<void> {
    this.#isDraining = true;
    this.#closeAll();
    await this.#whenEmpty();
    this.#deadlines.close();
  }

  get stats(): ServerStats {
    let bytesReceived = this.#closedBytesReceived;
    let bytesSent = this.#closedBytesSent;
    for (const { stats } of this.#connections) {
      bytesReceived += stats.bytesIn;
      bytesSent += stats.bytesOut;
    }
    return {
      methods: this.#router.stats,
      unknownMethods: this.#router.unknownMethods,
      callsByHeader: this.#router.headerCounts.all,
      connectionsOpen: this.#connections.size,
      connectionsAccepted: this.#connectionsAccepted,
      connectionsFailed: this.#connectionsFailed,
      bytesReceived,
      bytesSent,
    };
  }

  #closeAll(): void {
    this.#isClosed = true;
    for (const connection of this.#connections) connection.close(ErrorCode.NO_ERROR, 'the server is closing');
  }

  #connectionOver(reason: CloseReason): void {
    if (reason.origin !== 'local' || reason.code === ErrorCode.NO_ERROR) return;
    this.#connectionsFailed.set(reason.code, (this.#connectionsFailed.get(reason.code) ?? 0) + 1);
  }

  #connectionGone(connection: ServerConnection): void {
    if (!this.#connections.delete(connection)) return;
    this.#closedBytesReceived += connection.stats.bytesIn;
    this.#closedBytesSent += connection.stats.bytesOut;
    if (this.#connections.size > 0) return;
    for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  #whenEmpty(): Promise<void> {
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onEmpty.push(resolve));
  }
}
