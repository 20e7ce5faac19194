import { type Buffer } from 'node:buffer';
import { Connection } from '../http2/connection.js';
import { ErrorCode } from '../http2/error-code.js';
import { type CloseReason, type ConnectionEvents } from '../http2/events.js';
import { type HeaderBlock } from '../http2/header-block.js';
import { type ConnectionOptions } from '../http2/options.js';
import { type Stream } from '../http2/stream.js';
import { type Runtime, type Timer } from '../runtime.js';
import { Keepalive, type KeepaliveOptions, type KeepaliveTarget } from './keepalive.js';
import { type Pipe, type PipeHandler } from './pipe.js';
import { type Flushable, type TurnFlusher } from './turn-flusher.js';

/** How a connection is driven, in either role. */
export interface DriveOptions {
  readonly http2: ConnectionOptions;
  readonly keepalive: KeepaliveOptions;
  /** Time for the peer's preface and SETTINGS. */
  readonly handshakeTimeoutMs: number;
  /** Time for one header block once its first octet has arrived. */
  readonly headersTimeoutMs: number;
  /** Time for the peer to take our last words before the pipe is destroyed. */
  readonly lingerMs: number;
}

/**
 * Binds the sans-IO HTTP/2 core to a pipe: bytes in, bytes out once per turn, back-pressure both ways, timeouts and
 * keepalive. Subclasses are the gRPC server's and client's side of a connection.
 *
 * Back-pressure: while the pipe is blocked no output is taken from the core, so what the peer makes us queue stays
 * under the core's limits. A server moreover stops reading then: a peer that does not read its answers cannot ask for
 * more. A client goes on reading, or two such ends could wait for each other for ever.
 */
export abstract class DrivenConnection implements PipeHandler, ConnectionEvents, KeepaliveTarget, Flushable {
  protected readonly connection: Connection;
  readonly #keepalive: Keepalive;
  #isPipeBlocked = false;
  #isPipeClosed = false;
  /** The core has reported its end. Nothing more is given to it. */
  #isOver = false;
  /** Nothing will follow what the core has in its output. */
  #isEnding = false;
  #handshakeTimer: Timer | undefined;
  #headersTimer: Timer | undefined;
  #lingerTimer: Timer | undefined;
  #pipeError: Error | undefined;

  protected constructor(
    private readonly role: 'client' | 'server',
    protected readonly runtime: Runtime,
    protected readonly pipe: Pipe,
    private readonly flusher: TurnFlusher,
    private readonly options: DriveOptions,
  ) {
    this.#keepalive = new Keepalive(runtime, options.keepalive, this);
    this.#handshakeTimer = runtime.after(options.handshakeTimeoutMs, () => {
      this.close(ErrorCode.SETTINGS_TIMEOUT, 'no preface and SETTINGS in time');
    });
    this.connection = new Connection(role, options.http2, this, () => runtime.now());
    pipe.handler = this;
  }

  abstract headers(stream: Stream, block: HeaderBlock, endStream: boolean): void;
  abstract trailers(stream: Stream, block: HeaderBlock): void;
  abstract data(stream: Stream, buffer: Buffer, start: number, end: number, endStream: boolean): void;
  abstract reset(stream: Stream, code: number, origin: 'peer' | 'local' | 'goaway'): void;
  abstract writable(stream: Stream): void;
  abstract goaway(lastStreamId: number, code: number, debug: Buffer): void;
  /** The connection is over; `connection.forEachStream` lists what was open. `error` is the pipe's, if it had one. */
  protected abstract over(reason: CloseReason, error: Error | undefined): void;
  /** The pipe is closed as well. Last call. */
  protected abstract gone(): void;
  /** An exception escaped from the core or from the layer above: a defect. The connection is closed. */
  protected abstract defect(error: unknown): void;

  get openStreams(): number {
    return this.connection.openStreams;
  }

  /** Ends the connection gracefully: open streams may finish. */
  drain(): void {
    if (!this.#isOver) this.connection.drain();
  }

  /** Ends the connection now, with GOAWAY. */
  close(code: number, reason: string): void {
    if (!this.#isOver) this.connection.close(code, reason);
  }

  protected noteStreamOpened(): void {
    this.#keepalive.noteStreamOpened();
  }

  sendPing(): void {
    this.connection.ping();
  }

  peerIsSilent(): void {
    this.#pipeError = new Error('keepalive: the peer is silent');
    this.pipe.destroy(this.#pipeError);
    this.#transportClosed('keepalive timeout');
  }

  // The pipe's side.

  onOpen(): void {
    this.flush();
  }

  onBytes(chunk: Uint8Array): void {
    if (this.#isOver) return;
    this.#keepalive.noteReceived();
    try {
      this.connection.receive(chunk);
    } catch (error) {
      this.#fail(error);
    }
    if (this.connection.isReadingHeaders) this.#armHeadersTimer();
    else if (this.#headersTimer !== undefined) this.#cancelHeadersTimer();
    this.received();
  }

  /** A chunk was taken in, with all its events. Streams that ended in it are closed by now. */
  protected received(): void {}

  onDrain(): void {
    this.#isPipeBlocked = false;
    this.flush();
    if (!this.#isPipeBlocked && this.role === 'server') this.pipe.resume();
  }

  onEnd(): void {
    this.#transportClosed('the peer closed the connection');
    this.pipe.end();
  }

  onClose(error: Error | undefined): void {
    if (this.#isPipeClosed) return;
    this.#isPipeClosed = true;
    this.#pipeError ??= error;
    this.#lingerTimer?.cancel();
    this.#transportClosed(error === undefined ? 'the connection was closed' : error.message);
    this.gone();
  }

  // The core's side.

  output(): void {
    this.flusher.schedule(this);
  }

  settings(): void {
    this.#handshakeTimer?.cancel();
    this.#handshakeTimer = undefined;
  }

  pong(_id: number): void {}

  drained(): void {
    this.#isEnding = true;
    this.flush();
  }

  closed(reason: CloseReason): void {
    this.#isOver = true;
    this.#keepalive.stop();
    this.#handshakeTimer?.cancel();
    this.#cancelHeadersTimer();
    this.over(reason, this.#pipeError);
    if (reason.origin !== 'local' || this.#isPipeClosed) return;
    this.#isEnding = true;
    this.#armLingerTimer();
    this.flush();
  }

  /** Writes what the core has ready, as far as the pipe takes it. */
  flush(): void {
    if (this.#isPipeClosed) return;
    while (!this.#isPipeBlocked && this.connection.hasOutput) {
      const chunks = this.connection.takeOutput();
      if (chunks.length === 0) break;
      this.#isPipeBlocked = !this.pipe.write(chunks);
      this.connection.outputWritten(this.pipe.isDrained);
    }
    if (this.#isEnding) this.#finish();
    else if (this.#isPipeBlocked && this.role === 'server') this.pipe.pause();
  }

  /**
   * The last words: once they are written our side ends, and the peer gets a moment to read them before the pipe is
   * destroyed. What it still sends is read and dropped, because unread bytes would turn our FIN into a reset, and the
   * peer's kernel would then throw the GOAWAY away.
   */
  #finish(): void {
    this.pipe.resume();
    if (this.#isPipeBlocked || this.connection.hasOutput) return;
    this.pipe.end();
    this.#armLingerTimer();
  }

  #armLingerTimer(): void {
    this.#lingerTimer ??= this.runtime.after(this.options.lingerMs, () => this.pipe.destroy());
  }

  #transportClosed(reason: string): void {
    if (!this.#isOver) this.connection.transportClosed(reason);
  }

  #fail(error: unknown): void {
    this.defect(error);
    this.close(ErrorCode.INTERNAL_ERROR, 'internal error');
  }

  #armHeadersTimer(): void {
    if (this.#headersTimer !== undefined || this.#isOver) return;
    this.#headersTimer = this.runtime.after(this.options.headersTimeoutMs, () => {
      this.#headersTimer = undefined;
      this.close(ErrorCode.ENHANCE_YOUR_CALM, 'header block not complete in time');
    });
  }

  #cancelHeadersTimer(): void {
    this.#headersTimer?.cancel();
    this.#headersTimer = undefined;
  }
}
