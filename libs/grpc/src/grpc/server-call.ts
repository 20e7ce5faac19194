import { ErrorCode } from '../http2/error-code.js';
import { type HeaderBlock } from '../http2/header-block.js';
import { type Stream } from '../http2/stream.js';
import { GrpcStatus } from '../status.js';
import { type Endpoint, type TlsPeer } from '../transport/pipe.js';
import { DecompressionError, gunzip } from './compression.js';
import { type Expiring } from './deadline-queue.js';
import { type CallHost, IncomingStream } from './incoming-stream.js';
import { MessageReader, MessageReadError } from './message-reader.js';
import { IncomingMetadata, type MetadataEntries } from './metadata.js';
import { type StreamRoute, type UnaryRoute } from './route.js';
import { type ServerCall } from './service.js';
import { failureOnly, failureTrailers } from './status-fields.js';

/**
 * What unary and streaming calls of a server share: deadline, cancellation, status.
 *
 * Invariant: `isDone` becomes true exactly once, in `finish`, and from then on the method is not called any more and
 * nothing that it sends has an effect.
 */
export abstract class BaseServerCall extends IncomingStream implements ServerCall, Expiring {
  isDone = false;
  readonly #deadline: number;
  readonly #startedAt: number;
  protected reader: MessageReader | undefined;
  #metadata: IncomingMetadata | undefined;

  constructor(
    protected readonly host: CallHost,
    protected readonly stream: Stream,
    private readonly block: HeaderBlock,
    protected readonly route: UnaryRoute | StreamRoute,
  ) {
    super();
    route.stats.started++;
    route.headerCount.started++;
    const timeoutMs = route.timeoutMs;
    this.#startedAt = timeoutMs === undefined && host.onHandled === undefined ? 0 : host.runtime.now();
    this.#deadline = timeoutMs === undefined ? Infinity : this.#startedAt + timeoutMs;
    if (timeoutMs !== undefined) host.deadlines.add(this);
  }

  /** The owner learns that it was cancelled. */
  protected abstract notifyCancel(): void;

  get metadata(): IncomingMetadata {
    this.#metadata ??= new IncomingMetadata(this.block);
    return this.#metadata;
  }

  get path(): string {
    return this.route.stats.path;
  }

  get deadline(): number {
    return this.#deadline;
  }

  get remote(): Endpoint {
    return this.host.remote;
  }

  get tls(): TlsPeer | undefined {
    return this.host.tls;
  }

  fail(code: GrpcStatus, message: string, trailers?: MetadataEntries): void {
    if (this.isDone) return;
    const { connection } = this.host;
    if (this.stream.headersSent)
      connection.sendTrailers(this.stream, failureTrailers(code, message, trailers));
    else connection.sendHeaders(this.stream, failureOnly(code, message, trailers), true);
    this.finish(code);
  }

  /** An exception of the method is a defect of this call alone. */
  protected failWithDefect(error: unknown): void {
    this.host.defect(error, this.path);
    this.fail(GrpcStatus.Internal, 'internal error');
  }

  protected finish(code: GrpcStatus): void {
    this.isDone = true;
    this.route.stats.noteHandled(code);
    const { onHandled } = this.host;
    if (onHandled !== undefined) onHandled(this.route.stats, code, this.host.runtime.now() - this.#startedAt);
    if (this.#deadline !== Infinity && this.isSettled) this.host.deadlines.noteSettled();
  }

  /** An answer that still waits for the client's window counts until its deadline: it holds memory. */
  get isSettled(): boolean {
    return this.isDone && this.stream.closed;
  }

  /** The deadline has passed. */
  expire(): void {
    if (this.isDone) {
      this.host.connection.reset(this.stream, ErrorCode.CANCEL);
      this.host.deadlines.noteSettled();
      return;
    }
    this.abort(GrpcStatus.DeadlineExceeded, 'context deadline exceeded');
  }

  /** The transport, not the method, ends the call: the method learns of it as of a cancellation. */
  protected abort(code: GrpcStatus, message: string): void {
    if (this.isDone) return;
    this.fail(code, message);
    this.notifyCancel();
  }

  override cancel(): void {
    if (this.isDone) return;
    this.finish(GrpcStatus.Canceled);
    this.notifyCancel();
  }

  /** Unpacks a message that was read, if it is packed. Undefined when it cannot be; the call has then failed. */
  protected unpack(message: Uint8Array, isCompressed: boolean): Uint8Array | undefined {
    this.route.stats.messagesReceived++;
    this.route.stats.bytesReceived += message.length;
    if (!isCompressed) return message;
    if (!this.route.isGzip) {
      this.abort(GrpcStatus.Internal, 'grpc: compressed flag set with identity or empty encoding');
      return undefined;
    }
    try {
      return gunzip(message, this.route.maxReceiveBytes);
    } catch (error) {
      if (!(error instanceof DecompressionError)) throw error;
      this.abort(error.isTooLarge ? GrpcStatus.ResourceExhausted : GrpcStatus.Internal, error.message);
      return undefined;
    }
  }

  /** The next whole message of the reader, unpacked; undefined when there is none, or when the call failed over it. */
  protected nextMessage(): Uint8Array | undefined {
    const reader = this.reader as MessageReader;
    try {
      const message = reader.next();
      return message === undefined ? undefined : this.unpack(message, reader.compressed);
    } catch (error) {
      if (!(error instanceof MessageReadError)) throw error;
      const code = error.fault === 'too-large' ? GrpcStatus.ResourceExhausted : GrpcStatus.Internal;
      this.abort(code, error.message);
      return undefined;
    }
  }

  protected requireReader(): MessageReader {
    this.reader ??= new MessageReader(this.route.maxReceiveBytes);
    return this.reader;
  }
}
