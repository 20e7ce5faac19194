import { Buffer } from 'node:buffer';
import * as net from 'node:net';
import { performance } from 'node:perf_hooks';
import * as tls from 'node:tls';
import {
  type ConnectTarget,
  type Listener,
  type ListenHandler,
  type ListenTarget,
  type Pem,
  type Runtime,
  type ServerTlsOptions,
  type Timer,
} from './runtime.js';
import { shareReads } from './transport/shared-reads.js';
import { type Endpoint, type Pipe, type PipeHandler, type TlsPeer } from './transport/pipe.js';

/** Node's longest timer; longer delays are cut to it, so a caller must be ready to be called early. */
const longestTimerMs = 0x7fff_ffff;

class NodeTimer implements Timer {
  constructor(private readonly handle: NodeJS.Timeout) {}

  cancel(): void {
    clearTimeout(this.handle);
  }
}

/** The production runtime. */
export const nodeRuntime: Runtime = {
  now: () => performance.now(),
  after: (delayMs, callback) =>
    new NodeTimer(setTimeout(callback, Math.min(Math.max(Math.ceil(delayMs), 0), longestTimerMs)).unref()),
  defer: (callback) => {
    setImmediate(callback);
  },
  random: () => Math.random(),
  connect: connectSocket,
  listen: listenSocket,
};

function connectSocket(target: ConnectTarget): Pipe {
  const address: net.NetConnectOpts =
    target.path !== undefined
      ? { path: target.path }
      : { host: target.host ?? 'localhost', port: target.port ?? 0, noDelay: true };
  if (target.tls === undefined) return new SocketPipe(net.connect(address), 'connect');
  const { ca, cert, key, serverName, insecureSkipVerify } = target.tls;
  const name = serverName ?? target.host ?? 'localhost';
  const socket = tls.connect({
    ...address,
    ALPNProtocols: ['h2'],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: insecureSkipVerify !== true,
    // Server names are names: RFC 6066 §3 does not allow addresses. Verification uses the address all the same.
    ...(net.isIP(name) === 0
      ? { servername: name }
      : { checkServerIdentity: (_, c) => tls.checkServerIdentity(name, c) }),
    ...(ca === undefined ? {} : { ca: nodePem(ca) }),
    ...(cert === undefined ? {} : { cert: nodePem(cert) }),
    ...(key === undefined ? {} : { key: nodePem(key) }),
  });
  return new SocketPipe(socket, 'secureConnect');
}

function nodePem(pem: Pem): string | Buffer {
  return typeof pem === 'string' ? pem : Buffer.from(pem.buffer, pem.byteOffset, pem.byteLength);
}

async function listenSocket(target: ListenTarget, handler: ListenHandler): Promise<Listener> {
  const server = target.tls === undefined ? plainServer(handler) : tlsServer(target, target.tls, handler);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(
      target.path !== undefined
        ? { path: target.path }
        : { host: target.host ?? '127.0.0.1', port: target.port ?? 0 },
      () => {
        server.off('error', reject);
        resolve();
      },
    );
  });
  server.maxConnections = target.connectionsMax;
  server.on('drop', () => handler.refused());
  server.on('error', (error) => handler.failed(error));
  const bound = server.address();
  return {
    local:
      bound === null || typeof bound === 'string'
        ? { address: bound ?? '', port: 0 }
        : { address: bound.address, port: bound.port },
    replaceTls: (options) => {
      if (server instanceof tls.Server) server.setSecureContext(secureContextOptions(options));
    },
    close: () => {
      // The port is free at once; Node's callback would wait until the last connection has ended.
      server.close();
      return Promise.resolve();
    },
  };
}

function remoteOf(socket: net.Socket): Endpoint {
  return { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
}

function plainServer(handler: ListenHandler): net.Server {
  return net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    if (handler.admit(remoteOf(socket))) handler.accepted(new SocketPipe(socket, undefined));
    else socket.destroy();
  });
}

function tlsServer(target: ListenTarget, options: ServerTlsOptions, handler: ListenHandler): tls.Server {
  const server = tls.createServer({
    ...secureContextOptions(options),
    requestCert: options.requireClientCertificate === true || options.ca !== undefined,
    rejectUnauthorized: options.requireClientCertificate === true,
    handshakeTimeout: target.handshakeTimeoutMs,
    noDelay: true,
    allowHalfOpen: true,
    ALPNCallback: ({ protocols }) => chooseProtocol(protocols, target.http1 === true),
  });
  // tls.Server emits `connection` with the raw socket and `secureConnection` with another object for the same socket.
  // They are matched by the peer's address; sockets that share one (unix sockets) are interchangeable for counting.
  const handshaking = new Map<string, object[]>();
  const take = (key: string, state: object | undefined): boolean => {
    const states = handshaking.get(key);
    const index = states === undefined || state === undefined ? 0 : states.indexOf(state);
    if (states === undefined || index < 0) return false;
    states.splice(index, 1);
    if (states.length === 0) handshaking.delete(key);
    return true;
  };
  server.prependListener('connection', (raw: net.Socket) => {
    const remote = remoteOf(raw);
    if (!handler.admit(remote)) {
      raw.destroy();
      return;
    }
    const key = `${remote.address} ${remote.port}`;
    const state = {};
    const states = handshaking.get(key);
    if (states === undefined) handshaking.set(key, [state]);
    else states.push(state);
    raw.once('close', () => {
      if (take(key, state)) handler.dropped(remote);
    });
  });
  server.on('secureConnection', (socket) => {
    const remote = remoteOf(socket);
    if (take(`${remote.address} ${remote.port}`, undefined))
      handler.accepted(new SocketPipe(socket, undefined));
    else socket.destroy();
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  return server;
}

function secureContextOptions(options: ServerTlsOptions): tls.SecureContextOptions {
  return {
    cert: nodePem(options.cert),
    key: nodePem(options.key),
    minVersion: options.minVersion ?? 'TLSv1.2',
    ...(options.maxVersion === undefined ? {} : { maxVersion: options.maxVersion }),
    ...(options.ca === undefined ? {} : { ca: nodePem(options.ca) }),
    ...(options.crl === undefined ? {} : { crl: nodePem(options.crl) }),
    ...(options.cipherSuites === undefined ? {} : { ciphers: options.cipherSuites, honorCipherOrder: true }),
  };
}

function chooseProtocol(offered: readonly string[], http1: boolean): string | undefined {
  if (http1 && offered.includes('http/1.1')) return 'http/1.1';
  return offered.includes('h2') ? 'h2' : undefined;
}

/** Bytes that a socket may hold beyond what the kernel took before `write` says false. */
const socketHighWaterBytes = 65_536;

/** A TCP, TLS or unix socket as a {@link Pipe}. */
class SocketPipe implements Pipe {
  handler: PipeHandler | undefined;
  readonly remote: Endpoint;
  #error: Error | undefined;
  #isOpening: boolean;
  #heldBack = false;
  readonly #isTls: boolean;
  readonly #onData = (chunk: Uint8Array): void => this.handler?.onBytes(chunk);
  readonly #onDrain = (): void => {
    if (!this.#heldBack) return;
    this.#heldBack = false;
    this.handler?.onDrain();
  };
  // After an error, and before the TLS handshake is done, Node says both that the socket ended and, with `close`, why.
  readonly #onEnd = (): void => {
    if (this.#error === undefined && !this.#isOpening) this.handler?.onEnd();
  };
  readonly #onError = (error: Error): void => {
    this.#error = error;
  };
  readonly #onClose = (): void => this.handler?.onClose(this.#error);

  /** `openEvent` is the event that says that a connecting socket is ready; undefined for accepted ones. */
  constructor(
    private readonly socket: net.Socket,
    openEvent: 'connect' | 'secureConnect' | undefined,
  ) {
    this.remote = remoteOf(socket);
    this.#isTls = socket instanceof tls.TLSSocket;
    socket.on('data', this.#onData);
    socket.on('drain', this.#onDrain);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
    this.#isOpening = openEvent !== undefined;
    if (openEvent === undefined) return;
    socket.once(openEvent, () => {
      this.#isOpening = false;
      this.handler?.onOpen();
    });
  }

  get local(): Endpoint {
    return { address: this.socket.localAddress ?? '', port: this.socket.localPort ?? 0 };
  }

  get tls(): TlsPeer | undefined {
    return this.socket instanceof tls.TLSSocket ? tlsPeerOf(this.socket) : undefined;
  }

  get queuedBytes(): number {
    return this.socket.writableLength;
  }

  /** TLS does not tell when it has encrypted what was written. */
  get isDrained(): boolean {
    return !this.#isTls && this.socket.writableLength === 0;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const socket = this.socket;
    if (socket.destroyed || socket.writableEnded) return true;
    if (chunks.length === 1) {
      socket.write(chunks[0] as Uint8Array);
    } else {
      socket.cork();
      for (const chunk of chunks) socket.write(chunk);
      socket.uncork();
    }
    // What the kernel takes at once has already left `writableLength` here. Node's own high-water mark is lower than
    // ours, so `drain` is certain to follow.
    this.#heldBack = socket.writableLength > socketHighWaterBytes;
    return !this.#heldBack;
  }

  shareReads(): void {
    shareReads(this.socket, this.#onData);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  end(): void {
    this.socket.end();
  }

  destroy(error?: Error): void {
    this.socket.destroy(error);
  }

  /** See {@link releaseSocket}. */
  release(head: Uint8Array): net.Socket {
    const socket = this.socket;
    this.handler = undefined;
    socket.pause();
    socket.off('data', this.#onData);
    socket.off('drain', this.#onDrain);
    socket.off('end', this.#onEnd);
    socket.off('error', this.#onError);
    socket.off('close', this.#onClose);
    if (head.length > 0) socket.unshift(head);
    // The new owner attaches its listeners during this turn; only then may the socket flow.
    process.nextTick(() => socket.resume());
    return socket;
  }
}

/** A subject may repeat an attribute; the first value counts, as in Go. */
function firstText(value: string | string[] | undefined): string {
  return (Array.isArray(value) ? value[0] : value) ?? '';
}

function tlsPeerOf(socket: tls.TLSSocket): TlsPeer {
  const certificate = socket.getPeerCertificate();
  const hasCertificate = certificate !== null && certificate.raw !== undefined;
  return {
    alpnProtocol: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : undefined,
    authorized: socket.authorized,
    certificate: hasCertificate
      ? {
          commonName: firstText(certificate.subject.CN),
          subjectAltName: certificate.subjectaltname ?? '',
          serialNumber: certificate.serialNumber,
          fingerprint256: certificate.fingerprint256,
          raw: certificate.raw,
        }
      : undefined,
  };
}

/**
 * Takes the socket back from a pipe of {@link nodeRuntime}, to hand it to Node's HTTP/1.1 server:
 * `httpServer.emit('connection', releaseSocket(pipe, head))`. The bytes of `head`, which were already read, are put
 * back. The new owner must attach its listeners before the current turn ends. The pipe is of no use afterwards.
 *
 * @throws TypeError when the pipe is no socket of this runtime.
 */
export function releaseSocket(pipe: Pipe, head: Uint8Array): net.Socket {
  if (!(pipe instanceof SocketPipe)) throw new TypeError('only a pipe of nodeRuntime holds a Node socket');
  return pipe.release(head);
}
