import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type Duplex } from 'node:stream';
import { GrpcStatus } from '@conclave/protocol';
import { type AccessPolicy } from './access-policy.js';
import { type HttpFailure, sendFailure } from './http-error.js';

/** Connections that may wait for the HTTP application to load. */
const waitingMax = 1_024;
/** Time in which the head of a request must arrive, and how often that is looked at. */
const headersTimeoutMs = 10_000;
const checkIntervalMs = 1_000;

/** What the metrics listeners serve; everything else is for the client port. */
const metricsPaths = /^\/(metrics|health|livez(\/[a-z_]+)?|readyz(\/[a-z_]+)?)$/;

const corsHeaders = {
  'access-control-allow-methods': 'POST, GET, OPTIONS, PUT, DELETE',
  'access-control-allow-headers': 'accept, content-type, authorization',
} as const;

/**
 * The HTTP server without a port of its own: connections are handed to it. Connections that arrive before the
 * application is loaded wait, so that the application never delays the readiness of the member.
 *
 * Invariant: `#waiting` is undefined exactly when an application is installed or the front is closed.
 */
export class HttpFront {
  readonly #server: Server;
  readonly #metricsOnly = new WeakSet<object>();
  readonly #open = new Set<Duplex>();
  #waiting: Duplex[] | undefined = [];
  #isDraining = false;
  #want: () => void = () => undefined;
  /** Resolves when the first connection comes. */
  readonly isWanted: Promise<void> = new Promise((resolve) => (this.#want = resolve));

  /** @param timing Shorter times for specs. */
  constructor(
    private readonly policy: AccessPolicy,
    timing: { readonly headersTimeoutMs?: number; readonly checkIntervalMs?: number } = {},
  ) {
    this.#server = createServer({
      headersTimeout: timing.headersTimeoutMs ?? headersTimeoutMs,
      connectionsCheckingInterval: timing.checkIntervalMs ?? checkIntervalMs,
      // A watch may send the parts of its request body hours apart.
      requestTimeout: 0,
      maxHeaderSize: 16_384,
    });
    // Node's server keeps its list of connections, which time-outs and closing need, from this event on. This one has
    // no port of its own that could cause it.
    this.#server.emit('listening');
  }

  /** The server that an application installs itself on. */
  get server(): Server {
    return this.#server;
  }

  /** Connections that wait for the application. */
  get waitingCount(): number {
    return this.#waiting?.length ?? 0;
  }

  /** Takes over a connection that speaks HTTP/1.1. */
  accept(connection: Duplex, options: { readonly isMetricsOnly?: boolean } = {}): void {
    if (this.#isDraining) {
      connection.destroy();
      return;
    }
    if (options.isMetricsOnly === true) this.#metricsOnly.add(connection);
    this.#open.add(connection);
    connection.on('error', () => undefined);
    connection.once('close', () => this.#open.delete(connection));
    this.#want();
    if (this.#waiting === undefined) this.#server.emit('connection', connection);
    else if (this.#waiting.length < waitingMax) this.#waiting.push(connection);
    else connection.destroy();
  }

  /** Answers requests with this application from now on, those of waiting connections included. */
  install(application: RequestListener): void {
    this.#server.on('request', (request, response) => {
      // A connection without another request closes by itself once its answer has left.
      response.on(
        'finish',
        () => this.#isDraining && setImmediate(() => this.#server.closeIdleConnections()),
      );
      if (this.#admit(request, response)) application(request, response);
    });
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const connection of waiting) {
      if (!connection.destroyed) this.#server.emit('connection', connection);
    }
  }

  /** Takes no new connections and closes those that are idle; answers that have begun go on. */
  drain(): void {
    this.#isDraining = true;
    this.#server.closeIdleConnections();
  }

  /** Lets answers that are complete leave, for at most `graceMs`, and closes all connections. */
  async close(graceMs = 0): Promise<void> {
    this.drain();
    this.#waiting = undefined;
    if (graceMs > 0 && this.#open.size > 0) await this.#allClosed(graceMs);
    for (const connection of this.#open) connection.destroy();
  }

  #allClosed(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      for (const connection of this.#open) {
        connection.once('close', () => {
          if (this.#open.size > 0) return;
          clearTimeout(timer);
          resolve();
        });
      }
    });
  }

  /** Checks host and origin, answers preflights, and guards what the metrics listeners show. */
  #admit(request: IncomingMessage, response: ServerResponse): boolean {
    // The JSON API takes any content type, as `curl -d` sends what it sends.
    delete request.headers['content-type'];
    const isTls = 'encrypted' in request.socket && request.socket.encrypted === true;
    const { host, origin } = request.headers;
    const decision = this.policy.decide({ host, origin, isTls });
    if (decision.kind !== 'allowed') {
      sendFailure(response, refusal(decision.kind, host, origin));
      return false;
    }
    this.#setCorsHeaders(response, decision.allowOrigin);
    if (request.method === 'OPTIONS') {
      response.writeHead(200, { 'content-length': 0 }).end();
      return false;
    }
    return this.#admitPath(request, response);
  }

  #setCorsHeaders(response: ServerResponse, allowOrigin: string | undefined): void {
    if (allowOrigin === undefined) return;
    response.setHeader('access-control-allow-origin', allowOrigin);
    if (allowOrigin !== '*') response.setHeader('vary', 'Origin');
    for (const [name, value] of Object.entries(corsHeaders)) response.setHeader(name, value);
  }

  #admitPath(request: IncomingMessage, response: ServerResponse): boolean {
    const path = request.url?.split('?', 1)[0] ?? '/';
    if (!this.#metricsOnly.has(request.socket) || metricsPaths.test(path)) return true;
    sendFailure(response, { code: GrpcStatus.NotFound, message: 'Not Found' });
    return false;
  }
}

function refusal(kind: 'wrong-host' | 'wrong-origin', host = '', origin = ''): HttpFailure {
  const code = GrpcStatus.PermissionDenied;
  if (kind === 'wrong-origin')
    return { code, message: `pages of ${origin} may not call this member; see --cors` };
  return {
    code,
    message: `host "${host}" is not one of this member's names; see --host-whitelist`,
    httpStatus: 421,
  };
}
