import { type Buffer } from 'node:buffer';
import { type Connection } from '../http2/connection.js';
import { type CloseReason } from '../http2/events.js';
import { ErrorCode, errorCodeName } from '../http2/error-code.js';
import { type HeaderBlock } from '../http2/header-block.js';
import { type ConnectionStats } from '../http2/stats.js';
import { type HeaderSource, type Stream } from '../http2/stream.js';
import { type Runtime } from '../runtime.js';
import { GrpcStatus } from '../status.js';
import { type DriveOptions, DrivenConnection } from '../transport/driven-connection.js';
import { type Pipe } from '../transport/pipe.js';
import { type TurnFlusher } from '../transport/turn-flusher.js';
import { type ClientCall } from './client-call.js';
import { errorOfReset, GrpcError } from './error.js';

/** What a connection tells the channel that made it. */
export interface ClientConnectionOwner {
  /** The peer has answered the handshake: calls may be started. */
  connectionReady(connection: ClientConnection): void;
  /** No more calls may be started here; those that run may finish. */
  connectionDraining(connection: ClientConnection, reason: string): void;
  /** A stream may have ended, or the peer may allow more: waiting calls may be started if there is room. */
  connectionHasRoom(connection: ClientConnection): void;
  /** The connection is over, and all its calls have ended. */
  connectionOver(connection: ClientConnection, error: GrpcError): void;
  /** Its pipe is closed as well. */
  connectionGone(connection: ClientConnection): void;
  defect(error: unknown): void;
}

/** A connection is given up before its identifiers end, at 2^31 − 1. */
const lastStreamId = 0x7fff_0000;

/** A client's connection to one gRPC server. */
export class ClientConnection extends DrivenConnection {
  declare readonly connection: Connection;
  #isReady = false;

  constructor(
    private readonly owner: ClientConnectionOwner,
    runtime: Runtime,
    pipe: Pipe,
    flusher: TurnFlusher,
    options: DriveOptions,
  ) {
    super('client', runtime, pipe, flusher, options);
  }

  get canOpenStream(): boolean {
    return this.#isReady && this.connection.canOpenStream;
  }

  get stats(): Readonly<ConnectionStats> {
    return this.connection.stats;
  }

  /** Starts a call. Only while `canOpenStream`. */
  openStream(call: ClientCall, headers: HeaderSource, extra: readonly string[]): Stream {
    const stream = this.connection.openStream(headers, false, extra);
    stream.context = call;
    this.noteStreamOpened();
    if (stream.id > lastStreamId) this.#retire();
    return stream;
  }

  /** The identifiers of streams are almost used up (RFC 9113 §5.1.1): running calls finish, new ones go elsewhere. */
  #retire(): void {
    this.owner.connectionDraining(this, 'its stream identifiers are used up');
    this.drain();
  }

  /** Gives a stream up; the peer is told. */
  cancelStream(stream: Stream): void {
    this.connection.reset(stream, ErrorCode.CANCEL);
    this.owner.connectionHasRoom(this);
  }

  protected override received(): void {
    if (this.#isReady) this.owner.connectionHasRoom(this);
  }

  override settings(): void {
    super.settings();
    if (this.#isReady) return;
    this.#isReady = true;
    this.owner.connectionReady(this);
  }

  headers(stream: Stream, block: HeaderBlock, endStream: boolean): void {
    (stream.context as ClientCall).headers(block, endStream);
  }

  data(stream: Stream, buffer: Buffer, start: number, end: number, endStream: boolean): void {
    (stream.context as ClientCall).data(buffer, start, end, endStream);
  }

  trailers(stream: Stream, block: HeaderBlock): void {
    (stream.context as ClientCall).trailers(block);
  }

  reset(stream: Stream, code: number, origin: 'peer' | 'local' | 'goaway'): void {
    const error =
      origin === 'goaway'
        ? new GrpcError(GrpcStatus.Unavailable, 'the server is closing the connection', { notSent: true })
        : errorOfReset(code);
    (stream.context as ClientCall).end(error);
  }

  writable(stream: Stream): void {
    (stream.context as ClientCall).writable();
  }

  goaway(_lastStreamId: number, _code: number, _debug: Buffer): void {
    this.owner.connectionDraining(this, 'the server is closing it');
  }

  protected override over(reason: CloseReason, pipeError: Error | undefined): void {
    const text =
      reason.origin === 'local'
        ? `${reason.reason} (${errorCodeName(reason.code)})`
        : (pipeError?.message ?? reason.reason);
    const cause = pipeError === undefined ? {} : { cause: pipeError };
    const error = new GrpcError(GrpcStatus.Unavailable, `connection lost: ${text}`, cause);
    this.endCalls(error);
    this.owner.connectionOver(this, error);
  }

  /** Ends all calls with this error, without telling the peer. */
  endCalls(error: GrpcError): void {
    const calls: ClientCall[] = [];
    this.connection.forEachStream((stream) => calls.push(stream.context as ClientCall));
    for (const call of calls) call.end(error);
  }

  protected override gone(): void {
    this.owner.connectionGone(this);
  }

  protected override defect(error: unknown): void {
    this.owner.defect(error);
  }
}
