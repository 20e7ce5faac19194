import { nodeRuntime, openPort, type Pipe, type PipeHandler, type Port } from '@conclave/grpc';
import { type Logger } from '../engine/platform/logger.js';
import { type HttpFront } from '../http-api/http-front.js';
import { PipeDuplex } from '../http-api/pipe-duplex.js';
import { bindAddress, type HostUrl } from '../options/listen-url.js';
import { type ServerOptions } from '../options/server-options.js';
import { explainListenError, type ListenFlag } from './listen-error.js';
import { readServerTls } from './tls-files.js';

/** Connections that may wait until the member can serve them. */
const waitingMax = 4_096;

/** Who takes gRPC connections once the member runs. */
export type TakeHttp2 = (pipe: Pipe, head: Uint8Array) => void;

/** What a listener serves. */
type Use = 'grpc' | 'grpc and http' | 'http' | 'metrics';

interface OpenPort {
  readonly url: HostUrl;
  readonly port: Port;
}

/**
 * All ports that clients connect to. They are bound before the engine starts, so that an address in use is found
 * before any data is touched; connections wait until `serve` says who takes them.
 *
 * Invariant: `#waiting` is undefined from `serve` or `close` on.
 */
export class ClientPorts {
  readonly #ports: OpenPort[] = [];
  #waiting: Set<WaitingConnection> | undefined = new Set();
  #takeHttp2: TakeHttp2 | undefined;

  private constructor(
    private readonly options: ServerOptions,
    private readonly front: HttpFront,
    private readonly logger: Logger,
  ) {}

  /**
   * @throws ListenError when an address cannot be listened on; the system's error or OpenSSL's. Ports that were open already
   * are closed then.
   */
  static async open(options: ServerOptions, front: HttpFront, logger: Logger): Promise<ClientPorts> {
    const ports = new ClientPorts(options, front, logger);
    try {
      const clientUse: Use = options.listenClientHttpUrls.length > 0 ? 'grpc' : 'grpc and http';
      for (const url of options.listenClientUrls) await ports.#listen(url, 'listen-client-urls', clientUse);
      for (const url of options.listenClientHttpUrls)
        await ports.#listen(url, 'listen-client-http-urls', 'http');
      for (const url of options.listenMetricsUrls) await ports.#listen(url, 'listen-metrics-urls', 'metrics');
    } catch (error) {
      await ports.close();
      throw error;
    }
    return ports;
  }

  /** Whether there is any port. */
  get isListening(): boolean {
    return this.#ports.length > 0;
  }

  /** The URLs of the client listeners as clients reach them: port 0 is replaced by the one that was given. */
  get clientUrls(): readonly string[] {
    return this.#ports
      .filter(({ url }) => this.options.listenClientUrls.includes(url))
      .map(({ url, port }) => withPort(url, port.local.port));
  }

  /** Advertised client URLs; those with port 0 get the port of the first client listener. */
  get advertisedUrls(): readonly string[] {
    const bound = this.#ports[0]?.port.local.port ?? 0;
    return this.options.advertiseClientUrls.map((url) => (url.port === 0 ? withPort(url, bound) : url.text));
  }

  /** Hands over gRPC connections from now on, waiting ones first. */
  serve(takeHttp2: TakeHttp2): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    this.#takeHttp2 = takeHttp2;
    for (const { pipe, head } of waiting) {
      takeHttp2(pipe, head);
      pipe.resume();
    }
  }

  /** Reads the certificate files again; new handshakes use them. @throws when they cannot be read or do not fit. */
  reloadTls(): void {
    const { tls } = this.options;
    if (tls === undefined) return;
    const fresh = readServerTls(tls, this.options);
    for (const { url, port } of this.#ports) {
      if (url.scheme === 'https') port.replaceTls(fresh);
    }
  }

  async close(): Promise<void> {
    for (const { pipe } of this.#waiting ?? []) pipe.destroy();
    this.#waiting = undefined;
    await Promise.all(this.#ports.splice(0).map(({ port }) => port.close()));
  }

  async #listen(url: HostUrl, flag: ListenFlag, use: Use): Promise<void> {
    const certificates = this.options.tls;
    const tls =
      url.scheme === 'https' && certificates !== undefined
        ? readServerTls(certificates, this.options)
        : undefined;
    const port = await openPort(
      nodeRuntime,
      { host: bindAddress(url), port: url.port, ...(tls === undefined ? {} : { tls }) },
      {
        http2: (pipe, head) => this.#http2(pipe, head, use),
        ...(use === 'grpc' ? {} : { http1: (pipe: Pipe, head: Uint8Array) => this.#http1(pipe, head, use) }),
        failed: (error) =>
          this.logger.warn('a listener is in trouble', { url: url.text, error: error.message }),
      },
    ).catch((error: unknown) => {
      throw explainListenError(error, flag, url);
    });
    this.#ports.push({ url, port });
  }

  #http1(pipe: Pipe, head: Uint8Array, use: Use): void {
    this.front.accept(new PipeDuplex(pipe, head), { isMetricsOnly: use === 'metrics' });
  }

  #http2(pipe: Pipe, head: Uint8Array, use: Use): void {
    if (use === 'http' || use === 'metrics') pipe.destroy();
    else if (this.#takeHttp2 !== undefined) this.#takeHttp2(pipe, head);
    else if (this.#waiting !== undefined && this.#waiting.size < waitingMax)
      this.#waiting.add(new WaitingConnection(pipe, head, this.#waiting));
    else pipe.destroy();
  }
}

/** A connection that nobody can serve yet: what the client sends meanwhile stays in its socket, and it may leave. */
class WaitingConnection implements PipeHandler {
  constructor(
    readonly pipe: Pipe,
    readonly head: Uint8Array,
    private readonly waiting: Set<WaitingConnection>,
  ) {
    pipe.handler = this;
    pipe.pause();
  }

  onOpen(): void {}

  onBytes(): void {
    throw new Error('a connection that waits delivered bytes');
  }

  onDrain(): void {}

  /** The end may come while bytes before it wait to be read: whoever serves the connection meets it. */
  onEnd(): void {
    this.pipe.destroy();
  }

  onClose(): void {
    this.waiting.delete(this);
  }
}

function withPort(url: HostUrl, port: number): string {
  const host = url.host.includes(':') ? `[${url.host}]` : url.host;
  return `${url.scheme}://${host}:${port}`;
}
