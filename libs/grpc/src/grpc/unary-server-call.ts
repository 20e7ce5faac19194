import { type Buffer } from 'node:buffer';
import { GrpcStatus } from '../status.js';
import { gzip } from './compression.js';
import { prefixBytes, writePrefix } from './message-reader.js';
import { type UnaryRoute } from './route.js';
import { BaseServerCall } from './server-call.js';
import { type UnaryCall } from './service.js';
import { gzipResponseHeaders, okTrailers, responseHeaders } from './status-fields.js';

/** The core copies a prefix during the call, so one is enough for all. */
const prefix = new Uint8Array(prefixBytes);

const cardinalityViolation = 'cardinality violation: received';

/**
 * A unary call of a server. The usual request, one uncompressed message in one DATA frame that ends the stream, is
 * handed to the method as a view of the received bytes, with nothing copied and nothing kept.
 */
export class UnaryServerCall extends BaseServerCall implements UnaryCall {
  onCancel: (() => void) | undefined = undefined;
  declare protected readonly route: UnaryRoute;
  /** The request, when it arrived in parts. */
  #request: Uint8Array | undefined = undefined;

  override data(buffer: Buffer, start: number, end: number, endStream: boolean): void {
    const length = end - start;
    this.host.connection.consumed(this.stream, length);
    if (this.isDone) return;
    if (
      endStream &&
      this.reader === undefined &&
      isWholeMessage(buffer, start, length, this.route.maxReceiveBytes)
    ) {
      const { stats } = this.route;
      stats.messagesReceived++;
      stats.bytesReceived += length - prefixBytes;
      this.#dispatch(buffer.subarray(start + prefixBytes, end));
    } else {
      this.#assemble(buffer.subarray(start, end), endStream);
    }
  }

  respond(message: Uint8Array): void {
    if (this.isDone) return;
    if (message.length > this.host.maxSendBytes) {
      const text = `grpc: trying to send message larger than max (${message.length} vs. ${this.host.maxSendBytes})`;
      this.fail(GrpcStatus.ResourceExhausted, text);
      return;
    }
    const isCompressed = this.route.isGzip && message.length >= this.host.gzipMinBytes;
    const sent = isCompressed ? gzip(message) : message;
    writePrefix(prefix, 0, isCompressed, sent.length);
    const headers = isCompressed ? gzipResponseHeaders : responseHeaders;
    this.host.connection.respondUnary(this.stream, headers, prefix, sent, okTrailers);
    const { stats } = this.route;
    stats.messagesSent++;
    stats.bytesSent += sent.length;
    this.finish(GrpcStatus.OK);
  }

  override writable(): void {}

  protected override notifyCancel(): void {
    const { onCancel } = this;
    if (onCancel === undefined) return;
    this.onCancel = undefined;
    try {
      onCancel();
    } catch (error) {
      this.host.defect(error, this.path);
    }
  }

  #dispatch(request: Uint8Array): void {
    try {
      this.route.method.handle(request, this);
    } catch (error) {
      this.failWithDefect(error);
    }
  }

  /** The request comes in parts, is compressed, or is malformed. It is handled when the client has ended its side. */
  #assemble(view: Uint8Array, endStream: boolean): void {
    const reader = this.requireReader();
    reader.push(view);
    for (let message = this.nextMessage(); message !== undefined; message = this.nextMessage()) {
      if (this.#request !== undefined) {
        this.fail(GrpcStatus.Internal, `${cardinalityViolation} more than one request message`);
        return;
      }
      // A message may be a view of the received bytes, which must not be kept.
      this.#request = endStream ? message : new Uint8Array(message);
    }
    if (this.isDone) return;
    reader.settle();
    if (!endStream) return;
    if (!reader.isBetweenMessages) this.fail(GrpcStatus.Internal, 'unexpected EOF');
    else if (this.#request === undefined)
      this.fail(GrpcStatus.Internal, `${cardinalityViolation} no request message`);
    else this.#dispatch(this.#request);
  }
}

function isWholeMessage(buffer: Buffer, start: number, length: number, maxBytes: number): boolean {
  const messageLength = length - prefixBytes;
  return (
    messageLength >= 0 &&
    messageLength <= maxBytes &&
    buffer[start] === 0 &&
    buffer.readUInt32BE(start + 1) === messageLength
  );
}
