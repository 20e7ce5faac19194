import { type Endpoint, type Pipe } from './transport/pipe.js';

/** A timer that was set; `cancel` is idempotent. */
export interface Timer {
  cancel(): void;
}

/** PEM text or DER bytes; several certificates may be concatenated in one PEM. */
export type Pem = string | Uint8Array;

/** What a client needs for TLS. ALPN always offers `h2` only. */
export interface ClientTlsOptions {
  /** Authorities to trust; the system's when absent. */
  readonly ca?: Pem;
  /** Our own certificate and key, where the server asks for one. */
  readonly cert?: Pem;
  readonly key?: Pem;
  /** Name to verify in the server's certificate; the host of the target when absent. */
  readonly serverName?: string;
  /** True: take any certificate. Traffic can then be read and changed by anyone in between. */
  readonly insecureSkipVerify?: boolean;
}

/** What a listener needs for TLS. The whole record may be replaced while the listener runs ({@link Listener.replaceTls}). */
export interface ServerTlsOptions {
  readonly cert: Pem;
  readonly key: Pem;
  /** Authorities that sign client certificates. */
  readonly ca?: Pem;
  readonly crl?: Pem;
  /** Ask every client for a certificate and refuse those without one that `ca` signed. */
  readonly requireClientCertificate?: boolean;
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** OpenSSL names, separated by colons; Node's default list when absent. */
  readonly cipherSuites?: string;
}

/** Where to connect to. Either `host` and `port`, or the path of a unix socket. */
export interface ConnectTarget {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly tls?: ClientTlsOptions;
}

export interface ListenTarget {
  readonly host?: string;
  /** 0 takes any free port. */
  readonly port?: number;
  readonly path?: string;
  readonly tls?: ServerTlsOptions;
  /** ALPN: take `http/1.1` whenever the client offers it, else `h2`. Otherwise `h2` only. */
  readonly http1?: boolean;
  /** A TLS handshake that takes longer is cut. */
  readonly handshakeTimeoutMs: number;
  /** Open connections; more are closed as they arrive. */
  readonly connectionsMax: number;
}

/** What a listener tells its owner. */
export interface ListenHandler {
  /** Asked before anything is read. False closes the socket at once (too many connections). */
  admit(remote: Endpoint): boolean;
  /** An admitted socket is ready: at once without TLS, after the handshake with it. */
  accepted(pipe: Pipe): void;
  /** An admitted socket went away, or its TLS handshake failed, before it was `accepted`. */
  dropped(remote: Endpoint): void;
  /** A socket was closed because `connectionsMax` are open. */
  refused(): void;
  /** The listener itself is in trouble (no file descriptors left); it goes on listening. */
  failed(error: Error): void;
}

export interface Listener {
  readonly local: Endpoint;
  /** New handshakes use these options; existing connections keep theirs. */
  replaceTls(options: ServerTlsOptions): void;
  /** Stops accepting. Open connections live on. */
  close(): Promise<void>;
}

/**
 * Everything that this library takes from the outside: time, chance and sockets. Production uses `nodeRuntime`
 * (node-runtime.ts); the simulator and tests give their own.
 */
export interface Runtime {
  /** Monotonic milliseconds, with a fraction. */
  now(): number;
  /** Calls back once, not before `delayMs` have passed. A pending timer does not keep the process alive. */
  after(delayMs: number, callback: () => void): Timer;
  /** Calls back once, after everything that is ready now was handled: the end of the current turn. */
  defer(callback: () => void): void;
  /** A uniform number in [0, 1). */
  random(): number;
  /** Starts to connect; the pipe says `onOpen` or `onClose`. */
  connect(target: ConnectTarget): Pipe;
  /**
   * Listens; resolves when the port is bound.
   * @throws the system's error (EADDRINUSE, EACCES, …) or OpenSSL's when certificate and key do not fit.
   */
  listen(target: ListenTarget, handler: ListenHandler): Promise<Listener>;
}
