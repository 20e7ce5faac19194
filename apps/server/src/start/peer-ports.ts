import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { nodeRuntime, openPort, type Pipe, type Port } from '@conclave/grpc';
import { type Logger } from '../engine/platform/logger.js';
import { serverVersion } from '../engine/requests/version.js';
import { PipeDuplex } from '../http-api/pipe-duplex.js';
import { bindAddress, type HostUrl } from '../options/listen-url.js';
import { type ServerOptions } from '../options/server-options.js';
import { type ClusterView, membersAsJson } from '../peer/member-list.js';
import { explainListenError } from './listen-error.js';
import { readServerTls } from './tls-files.js';

/** Who serves other members. */
export interface PeerPortOwner {
  serve(pipe: Pipe, head: Uint8Array): void;
  /** Undefined while this member does not know its cluster. */
  members(): Promise<ClusterView | undefined>;
}

/** Other members are few; connections are limited far below the client port's, so that neither starves the other. */
const connectionsMax = 1_024;

/**
 * The ports that other members connect to. They are bound before any data is touched. Until `serve` connections are
 * closed at once: whoever asks then learns without delay that this member is not there yet.
 */
export class PeerPorts {
  readonly #ports: { readonly url: HostUrl; readonly port: Port }[] = [];
  readonly #http: Server;
  #owner: PeerPortOwner | undefined;

  private constructor(
    private readonly options: ServerOptions,
    private readonly logger: Logger,
  ) {
    this.#http = createServer({ headersTimeout: 10_000, requestTimeout: 10_000 }, (request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
    // Node's server keeps its list of connections, which time-outs and closing need, from this event on. This one has
    // no port of its own that could cause it.
    this.#http.emit('listening');
  }

  /** @throws ListenError when an address cannot be listened on; OpenSSL's or the system's error. Nothing stays open then. */
  static async open(options: ServerOptions, logger: Logger): Promise<PeerPorts> {
    const ports = new PeerPorts(options, logger);
    try {
      for (const url of options.listenPeerUrls) await ports.#listen(url);
    } catch (error) {
      await ports.close();
      throw error;
    }
    return ports;
  }

  get isListening(): boolean {
    return this.#ports.length > 0;
  }

  serve(owner: PeerPortOwner): void {
    this.#owner = owner;
    for (const { url } of this.#ports) this.logger.info('serving peer traffic', { address: url.text });
  }

  /** Reads the certificate files again; new handshakes use them. @throws when they cannot be read or do not fit. */
  reloadTls(): void {
    const { peerTls } = this.options;
    if (peerTls === undefined) return;
    const fresh = readServerTls(peerTls, this.options);
    for (const { url, port } of this.#ports) if (url.scheme === 'https') port.replaceTls(fresh);
  }

  async close(): Promise<void> {
    this.#owner = undefined;
    this.#http.closeAllConnections();
    this.#http.close(() => undefined);
    await Promise.all(this.#ports.splice(0).map(({ port }) => port.close()));
  }

  async #listen(url: HostUrl): Promise<void> {
    const { peerTls } = this.options;
    const tls =
      url.scheme === 'https' && peerTls !== undefined ? readServerTls(peerTls, this.options) : undefined;
    const warn = (error: Error): void =>
      this.logger.warn('a listener is in trouble', { url: url.text, error: error.message });
    try {
      const target = {
        host: bindAddress(url),
        port: url.port,
        connectionsMax,
        ...(tls === undefined ? {} : { tls }),
      };
      const port = await openPort(nodeRuntime, target, {
        http2: (pipe, head) => this.#http2(pipe, head),
        http1: (pipe, head) => this.#http1(pipe, head),
        failed: warn,
      });
      this.#ports.push({ url, port });
    } catch (error) {
      throw explainListenError(error, 'listen-peer-urls', url);
    }
  }

  #http2(pipe: Pipe, head: Uint8Array): void {
    if (this.#owner === undefined) pipe.destroy();
    else this.#owner.serve(pipe, head);
  }

  #http1(pipe: Pipe, head: Uint8Array): void {
    const connection = new PipeDuplex(pipe, head);
    connection.on('error', () => undefined);
    this.#http.emit('connection', connection);
  }

  async #answer({ method, url }: IncomingMessage, response: ServerResponse): Promise<void> {
    if (method !== 'GET') return respond(response, 405, 'Method Not Allowed\n');
    switch (url?.replace(/\?.*/, '')) {
      case '/version': {
        const etcdserver = serverVersion;
        return respond(response, 200, `${JSON.stringify({ etcdserver, etcdcluster: etcdserver })}\n`);
      }
      case '/members': {
        const view = await this.#owner?.members();
        if (view === undefined) return respond(response, 503, 'this member does not know its cluster yet\n');
        response.setHeader('x-etcd-cluster-id', view.clusterId.toString(16));
        return respond(response, 200, membersAsJson(view.members));
      }
      default:
        return respond(response, 404, '404 page not found\n');
    }
  }
}

function respond(response: ServerResponse, status: number, body: string): void {
  const isJson = status === 200;
  response.setHeader('content-type', isJson ? 'application/json' : 'text/plain; charset=utf-8');
  response.writeHead(status).end(body);
}
