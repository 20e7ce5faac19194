import { type PreparedHeaders } from '../hpack/prepared-headers.js';
import { ConnectionCore, type Role } from './core.js';
import { type ConnectionEvents } from './events.js';
import { type ConnectionOptions } from './options.js';
import { Receiver } from './receiver.js';
import { Sender } from './sender.js';
import { type Lender } from './lender.js';
import { type PeerSettings } from './settings.js';
import { type ConnectionStats } from './stats.js';
import { type HeaderSource, type Stream } from './stream.js';

/**
 * One HTTP/2 connection without input or output of its own (RFC 9113, the part that gRPC uses): octets go in with
 * {@link receive}, events come out, frames are queued by the send methods, octets to write come out of {@link takeOutput}.
 * No socket, timer or promise inside.
 *
 * ```ts
 * const connection = new Connection('server', {}, events, () => runtime.now());
 * socket.on('data', (bytes) => connection.receive(bytes));
 * // In events.output(), once per tick, and again when the socket drains while connection.hasOutput:
 * for (const bytes of connection.takeOutput()) socket.write(bytes);
 * ```
 *
 * Methods that take a stream do nothing when the stream is closed, so the application may answer a stream that the peer
 * has just reset. Do not take output while the socket is blocked: then what the peer makes us queue stays bounded.
 */
export class Connection {
  private readonly core: ConnectionCore;
  private readonly sender: Sender;
  private readonly receiver: Receiver;

  /**
   * @param now monotonic clock in milliseconds, read for rate limits only.
   * @throws RangeError when an option is outside its limits.
   */
  constructor(role: Role, options: ConnectionOptions, events: ConnectionEvents, now: () => number) {
    this.core = new ConnectionCore(role, options, events, now);
    this.sender = new Sender(this.core);
    this.receiver = new Receiver(this.core, this.sender);
    this.core.begin();
  }

  /** Takes octets from the transport, in any chunking. They are not kept after the call, nor changed. */
  receive(bytes: Uint8Array): void {
    this.receiver.receive(bytes);
  }

  /** The transport ended, in whatever way. Reports `closed` unless that has happened. */
  transportClosed(reason: string): void {
    this.core.transportClosed(reason);
  }

  /**
   * Client: opens a stream with its request headers. Check {@link canOpenStream} first.
   *
   * @param extra further fields behind `headers`, for example grpc-timeout behind a prepared block.
   * @throws Error when the connection cannot open a stream now.
   */
  openStream(headers: HeaderSource, endStream: boolean, extra?: readonly string[]): Stream {
    return this.sender.openStream(headers, endStream, extra);
  }

  /** Server: sends the initial headers of the answer. With `endStream` they are all of it (trailers-only in gRPC). */
  sendHeaders(stream: Stream, headers: HeaderSource, endStream: boolean, extra?: readonly string[]): void {
    this.sender.sendHeaders(stream, headers, endStream, extra);
  }

  /**
   * Sends or queues data, obeying the flow-control windows. `data` belongs to the connection from now on and must not be
   * changed, unless a `lender` was given and gets it back; `prefix` (at most a few octets, sent right before `data`) is
   * copied during the call and may be reused.
   *
   * @returns false when the stream has `streamQueueMark` octets or more queued: wait for the event `writable`. Also false
   *          when the stream is closed. A stream with which the connection would queue more than `maxQueuedBytes` is
   *          reset, and the event `reset` is called from inside.
   */
  sendData(
    stream: Stream,
    data: Uint8Array,
    endStream: boolean,
    prefix?: Uint8Array,
    lender?: Lender,
  ): boolean {
    return this.sender.sendData(stream, data, endStream, prefix, lender);
  }

  /** Sends trailers behind all queued data; this ends our side of the stream. */
  sendTrailers(stream: Stream, trailers: HeaderSource, extra?: readonly string[]): void {
    this.sender.sendTrailers(stream, trailers, extra);
  }

  /**
   * Server: headers, one message and trailers of a whole answer, in one go when the windows allow it. Same contract as
   * `sendHeaders`, `sendData` (with `prefix` copied) and `sendTrailers` one after the other.
   */
  respondUnary(
    stream: Stream,
    headers: PreparedHeaders,
    prefix: Uint8Array,
    message: Uint8Array,
    trailers: PreparedHeaders,
  ): void {
    this.sender.respondUnary(stream, headers, prefix, message, trailers);
  }

  /** The application has consumed `octets` of the data of this stream; windows are returned to the peer. */
  consumed(stream: Stream, octets: number): void {
    this.core.receiveFlow.consumed(stream, octets);
  }

  /** Resets the stream: what is queued for it is dropped, the peer is told. No event follows. */
  reset(stream: Stream, code: number): void {
    this.core.resetStream(stream, code);
  }

  /** Sends a PING; the event `pong` gives the same number back. */
  ping(): number {
    return this.core.control.ping();
  }

  /**
   * Ends the connection gracefully: running streams may finish, new ones are refused. A server first announces that it
   * will stop, and refuses only after one round trip (RFC 9113 section 6.8), so that no request is lost. `drained` follows.
   */
  drain(): void {
    this.core.drain.begin();
  }

  /** Ends the connection now with GOAWAY of this code. Reports `closed`, with the open streams still listed. */
  close(code: number, reason: string): void {
    this.core.fail(code, reason);
  }

  /**
   * What is to be written now, in this order, control frames before queued data. The arrays belong to the caller. Ask
   * again, when the transport has drained, as long as {@link hasOutput}.
   */
  takeOutput(): Uint8Array[] {
    return this.sender.takeOutput();
  }

  /**
   * Says that what `takeOutput` gave last was written to the transport. `isCopied`: the transport refers to no array that
   * `takeOutput` ever gave, so that their memory may be used again. Whoever cannot tell need not call this.
   */
  outputWritten(isCopied: boolean): void {
    this.core.output.written(isCopied);
  }

  /** Whether `takeOutput` would give something. */
  get hasOutput(): boolean {
    return this.sender.hasOutput;
  }

  /** A header block has begun to arrive and is not complete: for a timeout against peers that send it slowly. */
  get isReadingHeaders(): boolean {
    return this.receiver.isReadingHeaders;
  }

  /** Client: whether `openStream` may be called: not closed, not draining, below the peer's MAX_CONCURRENT_STREAMS. */
  get canOpenStream(): boolean {
    return this.core.canOpenStream;
  }

  /** The connection is over (`closed` was reported). */
  get isClosed(): boolean {
    return this.core.closed;
  }

  /** A GOAWAY was sent or received, or the connection is over: it will not take new streams. */
  get isDraining(): boolean {
    return this.core.closed || this.core.drain.active;
  }

  /** Streams that are open at the moment. */
  get openStreams(): number {
    return this.core.streams.size;
  }

  /** Octets of DATA that wait for window or for `takeOutput`, over all streams. */
  get queuedBytes(): number {
    return this.core.queuedBytes;
  }

  /** The peer's settings in force; the RFC's initial values until its SETTINGS frame arrives. */
  get peerSettings(): PeerSettings {
    return this.core.peerSettings;
  }

  /** Whether the peer has sent its SETTINGS (the event `settings` was called at least once). */
  get handshakeDone(): boolean {
    return this.core.peerSettingsReceived;
  }

  get stats(): Readonly<ConnectionStats> {
    return this.core.stats;
  }

  forEachStream(visit: (stream: Stream) => void): void {
    for (const stream of this.core.streams.all()) visit(stream);
  }
}
