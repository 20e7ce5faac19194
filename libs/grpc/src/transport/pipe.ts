/** What a pipe tells the one who drives it. After `onClose` nothing else is called. */
export interface PipeHandler {
  /** The pipe is ready for use (TCP connected, TLS handshake finished). Not called for pipes that were accepted. */
  onOpen(): void;
  /** Bytes from the peer. The handler may keep the chunk, unless it has called `shareReads`: nobody writes to it again. */
  onBytes(chunk: Uint8Array): void;
  /** A pipe whose `write` said false has room again. */
  onDrain(): void;
  /** The peer sends no more bytes. It may still read. */
  onEnd(): void;
  /** The pipe is gone, with the reason if it was not an orderly close. Called exactly once. */
  onClose(error: Error | undefined): void;
}

/** One end of a connection, as far as it is known. Ports are 0 where there is none (unix sockets, memory). */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What TLS told about the peer. */
export interface TlsPeer {
  /** The protocol that ALPN agreed on (`h2`, `http/1.1`), undefined when the client offered none. */
  readonly alpnProtocol: string | undefined;
  /** True when the peer gave a certificate that our trusted authorities signed. */
  readonly authorized: boolean;
  /** The peer's certificate; undefined when it gave none. */
  readonly certificate: TlsCertificate | undefined;
}

/** The parts of a peer's certificate that identify it. */
export interface TlsCertificate {
  /** CN of the subject, or the empty string. */
  readonly commonName: string;
  /** As Node prints them: `DNS:localhost, IP Address:127.0.0.1`; the empty string when there are none. */
  readonly subjectAltName: string;
  readonly serialNumber: string;
  /** SHA-256 of the certificate, hex with colons. */
  readonly fingerprint256: string;
  /** DER. */
  readonly raw: Uint8Array;
}

/**
 * A reliable byte stream in both directions: a TCP or TLS socket, or one end of an in-memory pair.
 *
 * Contract: bytes arrive in order or the pipe closes; `handler` is set by whoever owns the pipe at the moment, and
 * nothing is delivered while it is undefined; calls of the handler never happen inside a call of the pipe's methods,
 * not even `destroy` calls `onClose` at once.
 */
export interface Pipe {
  handler: PipeHandler | undefined;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  /** Undefined on pipes without TLS. Meaningful once the pipe is open. */
  readonly tls: TlsPeer | undefined;
  /** Bytes that were written and not yet taken by the kernel. */
  readonly queuedBytes: number;
  /**
   * Whether the pipe refers to no chunk any more that was given to `write`: the kernel has copied them all, and their memory may
   * be written again. A pipe that does not know says false.
   */
  readonly isDrained: boolean;
  /**
   * Sends the chunks in order, once the pipe is open, in one system call where the platform can. The chunks belong to the pipe afterwards.
   * False: hold back until `onDrain`. Bytes written to a pipe that is closed are dropped.
   */
  write(chunks: readonly Uint8Array[]): boolean;
  /**
   * From the next chunk on, `onBytes` gets bytes that are valid during the call only. That allows reads without an
   * allocation each; a pipe that has no such way goes on as before. The pipe is not handed to another owner afterwards.
   */
  shareReads(): void;
  /** Stops and restarts the delivery of `onBytes`. The peer then feels TCP's own back-pressure. */
  pause(): void;
  resume(): void;
  /** Closes our direction after everything written has left. */
  end(): void;
  /** Closes both directions at once; what was not sent is lost. */
  destroy(error?: Error): void;
}
