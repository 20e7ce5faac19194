import { type Buffer } from 'node:buffer';
import { type Lender } from '../http2/lender.js';
import { GrpcStatus } from '../status.js';
import { gzip } from './compression.js';
import { prefixBytes, writePrefix } from './message-reader.js';
import { type StreamRoute } from './route.js';
import { BaseServerCall } from './server-call.js';
import { type StreamCall, type StreamHandler } from './service.js';
import { gzipResponseHeaders, okTrailers, okTrailersOnly, responseHeaders } from './status-fields.js';

/** The core copies a prefix during the call, so one is enough for all. */
const prefix = new Uint8Array(prefixBytes);

/**
 * A streaming call of a server.
 *
 * Invariant: `#owedOctets` were received and their window is not returned yet; they are returned as soon as every
 * message among them was delivered, so a method that pauses stops its client after one stream window.
 */
export class StreamServerCall extends BaseServerCall implements StreamCall {
  onDrain: (() => void) | undefined = undefined;
  declare protected readonly route: StreamRoute;
  #handler: StreamHandler | undefined = undefined;
  #owedOctets = 0;
  #isPaused = false;
  #isPumping = false;
  #isRequestEnded = false;
  #isHalfCloseDelivered = false;

  /** Opens the method. */
  open(): void {
    try {
      this.#handler = this.route.method.open(this);
    } catch (error) {
      this.failWithDefect(error);
    }
  }

  override data(buffer: Buffer, start: number, end: number, endStream: boolean): void {
    const length = end - start;
    if (this.isDone) {
      this.host.connection.consumed(this.stream, length);
      return;
    }
    this.#owedOctets += length;
    if (endStream) this.#isRequestEnded = true;
    const reader = this.requireReader();
    reader.push(buffer.subarray(start, end));
    this.#pump();
    reader.settle();
  }

  send(message: Uint8Array): boolean {
    if (this.isDone) return true;
    const { connection, maxSendBytes, gzipMinBytes } = this.host;
    if (message.length > maxSendBytes) {
      const text = `grpc: trying to send message larger than max (${message.length} vs. ${maxSendBytes})`;
      this.fail(GrpcStatus.ResourceExhausted, text);
      return true;
    }
    if (!this.stream.headersSent) this.sendHeaders();
    const isCompressed = this.route.isGzip && message.length >= gzipMinBytes;
    const sent = isCompressed ? gzip(message) : message;
    writePrefix(prefix, 0, isCompressed, sent.length);
    const { stats } = this.route;
    stats.messagesSent++;
    stats.bytesSent += sent.length;
    return connection.sendData(this.stream, sent, false, prefix);
  }

  get takesFrames(): boolean {
    return !this.route.isGzip;
  }

  sendFramed(chunk: Uint8Array, messages: number, lender?: Lender): boolean {
    if (this.isDone) return true;
    if (!this.stream.headersSent) this.sendHeaders();
    const { stats } = this.route;
    stats.messagesSent += messages;
    stats.bytesSent += chunk.length - messages * prefixBytes;
    return this.host.connection.sendData(this.stream, chunk, false, undefined, lender);
  }

  sendHeaders(): void {
    if (this.isDone || this.stream.headersSent) return;
    const headers = this.route.isGzip ? gzipResponseHeaders : responseHeaders;
    this.host.connection.sendHeaders(this.stream, headers, false);
  }

  end(): void {
    if (this.isDone) return;
    if (this.stream.headersSent) this.host.connection.sendTrailers(this.stream, okTrailers);
    else this.host.connection.sendHeaders(this.stream, okTrailersOnly, true);
    this.finish(GrpcStatus.OK);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#pump();
  }

  override writable(): void {
    if (this.isDone || this.onDrain === undefined) return;
    try {
      this.onDrain();
    } catch (error) {
      this.#failLate(error);
    }
  }

  protected override notifyCancel(): void {
    try {
      this.#handler?.cancel();
    } catch (error) {
      this.host.defect(error, this.path);
    }
  }

  protected override finish(code: GrpcStatus): void {
    super.finish(code);
    this.#returnWindow();
  }

  /** Delivers what has arrived, as long as the method takes it. */
  #pump(): void {
    if (this.#isPumping || this.reader === undefined) return;
    this.#isPumping = true;
    try {
      this.#deliver();
    } catch (error) {
      this.#failLate(error);
    } finally {
      this.#isPumping = false;
    }
  }

  #deliver(): void {
    const handler = this.#handler;
    if (handler === undefined) return;
    while (!this.#isPaused && !this.isDone) {
      const message = this.nextMessage();
      if (message === undefined) break;
      handler.message(message);
    }
    if (this.#isPaused || this.isDone) return;
    this.#returnWindow();
    if (!this.#isRequestEnded || this.#isHalfCloseDelivered) return;
    this.#isHalfCloseDelivered = true;
    if (this.reader !== undefined && !this.reader.isBetweenMessages) {
      this.abort(GrpcStatus.Internal, 'unexpected EOF');
    } else {
      handler.halfClose();
    }
  }

  /** The method threw after it was opened: it also has to release what it holds. */
  #failLate(error: unknown): void {
    if (this.isDone) {
      this.host.defect(error, this.path);
      return;
    }
    this.failWithDefect(error);
    this.notifyCancel();
  }

  #returnWindow(): void {
    const octets = this.#owedOctets;
    if (octets === 0) return;
    this.#owedOctets = 0;
    this.host.connection.consumed(this.stream, octets);
  }
}
