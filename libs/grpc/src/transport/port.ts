import { Buffer } from 'node:buffer';
import {
  type Listener,
  type ListenHandler,
  type Runtime,
  type ServerTlsOptions,
  type Timer,
} from '../runtime.js';
import { type Endpoint, type Pipe, type PipeHandler } from './pipe.js';
import { sniff } from './sniff.js';

/** Where to listen and how much to admit. */
export interface PortOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0, the default, takes any free port. */
  readonly port?: number;
  /** A unix socket instead of host and port. */
  readonly path?: string;
  readonly tls?: ServerTlsOptions;
  /** Open connections of the port; more are closed at once. Default 65,536. */
  readonly connectionsMax?: number;
  /** Connections that have not yet shown what they speak. Default 4,096 in all and 1,024 from one address. */
  readonly pendingMax?: number;
  readonly pendingPerAddressMax?: number;
  /** Time for the TLS handshake, and again for the first bytes. Default 10,000. */
  readonly handshakeTimeoutMs?: number;
}

/** Who takes the connections. The taker sets `pipe.handler` and receives everything that follows `head`. */
export interface PortTakers {
  /** The peer speaks HTTP/2. `head` starts with the connection preface (empty after ALPN agreed on h2). */
  http2(pipe: Pipe, head: Uint8Array): void;
  /** The peer speaks HTTP/1.x; `head` starts its request. When absent such connections are closed. */
  http1?(pipe: Pipe, head: Uint8Array): void;
  /** The listener is in trouble (no file descriptors left, say) but goes on. */
  failed?(error: Error): void;
}

/** Numbers of a port, for metrics. Counters only grow. */
export interface PortStats {
  /** Connections that are open now and still pending. */
  readonly pending: number;
  readonly accepted: number;
  /** Closed because of a limit. */
  readonly refused: number;
  /** Closed because nothing sensible arrived in time. */
  readonly timedOut: number;
  /** Closed because the first bytes were neither HTTP/2 nor HTTP/1. */
  readonly garbage: number;
}

/** A listening port; see {@link openPort}. */
export interface Port {
  readonly local: Endpoint;
  readonly stats: PortStats;
  /** New TLS handshakes use these options. @throws OpenSSL's error when they do not fit; the old ones then stay. */
  replaceTls(options: ServerTlsOptions): void;
  /** Stops listening and closes pending connections. Connections that were taken are not touched. */
  close(): Promise<void>;
}

const noBytes = new Uint8Array(0);

/**
 * Listens on one port for gRPC, HTTP/2 and HTTP/1.1 together. TLS clients choose by ALPN: `http/1.1` whenever they
 * offer it and somebody takes it, else `h2`. Otherwise the first bytes decide.
 *
 * @throws the system's error (EADDRINUSE, EACCES, …) or OpenSSL's when certificate and key do not fit.
 */
export async function openPort(runtime: Runtime, options: PortOptions, takers: PortTakers): Promise<Port> {
  const port = new ListeningPort(runtime, options, takers);
  await port.listen();
  return port;
}

class ListeningPort implements Port, ListenHandler {
  readonly stats = { pending: 0, accepted: 0, refused: 0, timedOut: 0, garbage: 0 };
  #listener: Listener | undefined;
  readonly #sniffing = new Set<SniffedPipe>();
  /** Invariant: the values are positive and add up to `stats.pending`. */
  readonly #pendingByAddress = new Map<string, number>();
  readonly #handshakeTimeoutMs: number;

  constructor(
    private readonly runtime: Runtime,
    private readonly options: PortOptions,
    private readonly takers: PortTakers,
  ) {
    this.#handshakeTimeoutMs = options.handshakeTimeoutMs ?? 10_000;
  }

  async listen(): Promise<void> {
    const { host, port, path, tls } = this.options;
    this.#listener = await this.runtime.listen(
      {
        ...(path !== undefined ? { path } : { host: host ?? '127.0.0.1', port: port ?? 0 }),
        ...(tls === undefined ? {} : { tls }),
        http1: this.takers.http1 !== undefined,
        handshakeTimeoutMs: this.#handshakeTimeoutMs,
        connectionsMax: this.options.connectionsMax ?? 65_536,
      },
      this,
    );
  }

  get local(): Endpoint {
    return this.#requireListener().local;
  }

  replaceTls(options: ServerTlsOptions): void {
    this.#requireListener().replaceTls(options);
  }

  async close(): Promise<void> {
    const closed = this.#requireListener().close();
    for (const sniffed of this.#sniffing) sniffed.cut();
    await closed;
  }

  #requireListener(): Listener {
    if (this.#listener === undefined) throw new Error('the port does not listen yet');
    return this.#listener;
  }

  admit(remote: Endpoint): boolean {
    const fromAddress = this.#pendingByAddress.get(remote.address) ?? 0;
    const pendingMax = this.options.pendingMax ?? 4_096;
    if (this.stats.pending >= pendingMax || fromAddress >= (this.options.pendingPerAddressMax ?? 1_024)) {
      this.stats.refused++;
      return false;
    }
    this.stats.pending++;
    this.#pendingByAddress.set(remote.address, fromAddress + 1);
    return true;
  }

  accepted(pipe: Pipe): void {
    this.stats.accepted++;
    const protocol = pipe.tls?.alpnProtocol;
    if (protocol === 'h2') this.#take('http2', pipe, noBytes);
    else if (protocol === 'http/1.1') this.#take('http1', pipe, noBytes);
    else this.#sniffing.add(new SniffedPipe(this, pipe, this.#sniffTimer(pipe)));
  }

  dropped(remote: Endpoint): void {
    this.#settle(remote);
  }

  refused(): void {
    this.stats.refused++;
  }

  failed(error: Error): void {
    this.takers.failed?.(error);
  }

  #sniffTimer(pipe: Pipe): Timer {
    return this.runtime.after(this.#handshakeTimeoutMs, () => {
      this.stats.timedOut++;
      pipe.destroy();
    });
  }

  /** A sniffed pipe knows what it is, or is gone. */
  decided(sniffed: SniffedPipe, kind: 'http2' | 'http1' | 'garbage' | 'gone', head: Uint8Array): void {
    this.#sniffing.delete(sniffed);
    if (kind === 'http2' || kind === 'http1') {
      this.#take(kind, sniffed.pipe, head);
      return;
    }
    if (kind === 'garbage') this.stats.garbage++;
    this.#settle(sniffed.pipe.remote);
  }

  #take(kind: 'http2' | 'http1', pipe: Pipe, head: Uint8Array): void {
    this.#settle(pipe.remote);
    if (kind === 'http2') this.takers.http2(pipe, head);
    else if (this.takers.http1 !== undefined) this.takers.http1(pipe, head);
    else pipe.destroy();
  }

  #settle(remote: Endpoint): void {
    this.stats.pending--;
    const left = (this.#pendingByAddress.get(remote.address) ?? 1) - 1;
    if (left > 0) this.#pendingByAddress.set(remote.address, left);
    else this.#pendingByAddress.delete(remote.address);
  }
}

/** A pipe whose first bytes are awaited. */
class SniffedPipe implements PipeHandler {
  #head: Uint8Array = noBytes;
  #isDecided = false;

  constructor(
    private readonly port: ListeningPort,
    readonly pipe: Pipe,
    private readonly timer: Timer,
  ) {
    pipe.handler = this;
  }

  cut(): void {
    this.pipe.destroy();
  }

  onBytes(chunk: Uint8Array): void {
    if (this.#isDecided) return;
    this.#head = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    const kind = sniff(this.#head);
    if (kind === 'undecided') return;
    this.#decide(kind);
    if (kind === 'garbage') this.pipe.destroy();
  }

  onOpen(): void {}

  onDrain(): void {}

  onEnd(): void {
    this.pipe.destroy();
  }

  onClose(): void {
    if (!this.#isDecided) this.#decide('gone');
  }

  #decide(kind: 'http2' | 'http1' | 'garbage' | 'gone'): void {
    this.#isDecided = true;
    this.timer.cancel();
    this.port.decided(this, kind, this.#head);
  }
}
