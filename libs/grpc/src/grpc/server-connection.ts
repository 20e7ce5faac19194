import { Buffer } from 'node:buffer';
import { type Connection } from '../http2/connection.js';
import { type CloseReason } from '../http2/events.js';
import { type HeaderBlock } from '../http2/header-block.js';
import { type ConnectionStats } from '../http2/stats.js';
import { type Stream } from '../http2/stream.js';
import { type Runtime } from '../runtime.js';
import { type GrpcStatus } from '../status.js';
import { DrivenConnection } from '../transport/driven-connection.js';
import { type Endpoint, type Pipe, type TlsPeer } from '../transport/pipe.js';
import { type TurnFlusher } from '../transport/turn-flusher.js';
import { type DeadlineQueue } from './deadline-queue.js';
import { ServerHttpExchange, type HttpExchange } from './http-exchange.js';
import { type CallHost, type IncomingStream } from './incoming-stream.js';
import { type RejectRoute, type Router } from './route.js';
import { type ServerSettings } from './server-options.js';
import { type MethodStats } from './server-stats.js';
import { StreamServerCall } from './stream-server-call.js';
import { UnaryServerCall } from './unary-server-call.js';

/** What a connection shares with the others of its server. */
export interface ServerCore {
  readonly runtime: Runtime;
  readonly settings: ServerSettings;
  readonly router: Router;
  readonly flusher: TurnFlusher;
  readonly deadlines: DeadlineQueue;
  readonly onHandled: ((method: MethodStats, code: GrpcStatus, durationMs: number) => void) | undefined;
  readonly onHttp2Request: ((exchange: HttpExchange) => void) | undefined;
  defect(error: unknown, where: string): void;
  connectionOver(reason: CloseReason): void;
  connectionGone(connection: ServerConnection): void;
}

const noBytes = Buffer.alloc(0);

/** One client's connection to a gRPC server. */
export class ServerConnection extends DrivenConnection implements CallHost {
  declare readonly connection: Connection;
  declare readonly runtime: Runtime;
  readonly deadlines: DeadlineQueue;
  readonly maxSendBytes: number;
  readonly gzipMinBytes: number;
  readonly onHandled: ((method: MethodStats, code: GrpcStatus, durationMs: number) => void) | undefined;
  readonly remote: Endpoint;
  #tls: TlsPeer | undefined;
  #isTlsKnown = false;

  constructor(
    private readonly core: ServerCore,
    pipe: Pipe,
  ) {
    super('server', core.runtime, pipe, core.flusher, core.settings.drive);
    this.deadlines = core.deadlines;
    this.maxSendBytes = core.settings.maxSendBytes;
    this.gzipMinBytes = core.settings.gzipMinBytes;
    this.onHandled = core.onHandled;
    this.remote = pipe.remote;
    pipe.shareReads();
  }

  /** The certificate costs something to ask for, and does not change. */
  get tls(): TlsPeer | undefined {
    if (!this.#isTlsKnown) {
      this.#isTlsKnown = true;
      this.#tls = this.pipe.tls;
    }
    return this.#tls;
  }

  get stats(): Readonly<ConnectionStats> {
    return this.connection.stats;
  }

  defect(error: unknown, where = 'connection'): void {
    this.core.defect(error, where);
  }

  headers(stream: Stream, block: HeaderBlock, endStream: boolean): void {
    const route = this.core.router.routeOf(block);
    switch (route.kind) {
      case 'unary':
        stream.context = new UnaryServerCall(this, stream, block, route);
        break;
      case 'stream': {
        const call = new StreamServerCall(this, stream, block, route);
        stream.context = call;
        call.open();
        break;
      }
      case 'reject':
        this.#reject(stream, route);
        return;
      case 'http':
        this.#openExchange(stream, block);
        break;
    }
    if (endStream) this.data(stream, noBytes, 0, 0, true);
  }

  data(stream: Stream, buffer: Buffer, start: number, end: number, endStream: boolean): void {
    const context = stream.context as IncomingStream | undefined;
    if (context === undefined) this.connection.consumed(stream, end - start);
    else context.data(buffer, start, end, endStream);
  }

  /** gRPC gives no meaning to trailers of a request; they end it. */
  trailers(stream: Stream, _block: HeaderBlock): void {
    this.data(stream, noBytes, 0, 0, true);
  }

  reset(stream: Stream, _code: number, _origin: 'peer' | 'local' | 'goaway'): void {
    (stream.context as IncomingStream | undefined)?.cancel();
  }

  writable(stream: Stream): void {
    (stream.context as IncomingStream | undefined)?.writable();
  }

  goaway(_lastStreamId: number, _code: number, _debug: Buffer): void {}

  protected override over(reason: CloseReason, _error: Error | undefined): void {
    this.core.connectionOver(reason);
    this.connection.forEachStream((stream) => (stream.context as IncomingStream | undefined)?.cancel());
  }

  protected override gone(): void {
    this.core.connectionGone(this);
  }

  #reject(stream: Stream, route: RejectRoute): void {
    this.connection.sendHeaders(stream, route.answer, true);
    if (route.stats === undefined) return;
    route.stats.started++;
    route.stats.noteHandled(route.code);
  }

  #openExchange(stream: Stream, block: HeaderBlock): void {
    const exchange = new ServerHttpExchange(this, stream, block);
    stream.context = exchange;
    try {
      this.core.onHttp2Request?.(exchange);
    } catch (error) {
      this.defect(error, `${exchange.method} ${exchange.path}`);
      if (stream.headersSent) exchange.abort();
      else this.connection.sendHeaders(stream, [':status', '500'], true);
    }
  }
}
