import { type Buffer } from 'node:buffer';
import { type HeaderBlock } from '../http2/header-block.js';
import { type Stream } from '../http2/stream.js';
import { GrpcStatus } from '../status.js';
import { type ClientConnection } from './client-connection.js';
import { DecompressionError, gunzip, gzip, parseEncoding } from './compression.js';
import { type DeadlineQueue, type Expiring } from './deadline-queue.js';
import { GrpcError } from './error.js';
import { MessageReader, MessageReadError, prefixBytes, writePrefix } from './message-reader.js';
import { IncomingMetadata } from './metadata.js';
import { outcomeOfTrailers, problemOfHeaders } from './response-status.js';

/** The core copies a prefix during the call, so one is enough for all. */
const prefix = new Uint8Array(prefixBytes);

/** What a call needs of its channel. */
export interface ClientCallHost {
  readonly deadlines: DeadlineQueue;
  readonly maxReceiveBytes: number;
  readonly maxSendBytes: number;
  readonly gzipMinBytes: number;
  /** A call that had not started yet has ended. */
  forget(call: ClientCall): void;
}

/** How a call is made. */
export interface CallPlan {
  readonly path: string;
  /** Metadata as header fields, names and values in turn. */
  readonly fields: readonly string[];
  /** On the clock of the runtime; Infinity when the call may take for ever. */
  readonly deadline: number;
  readonly timeoutMs: number | undefined;
  readonly isGzip: boolean;
  readonly signal: AbortSignal | undefined;
}

/**
 * What unary and streaming calls of a client share. A call waits without a stream until its channel starts it.
 *
 * Invariant: `isEnded` becomes true exactly once, in `end`; the subclass is told of its outcome there and of nothing
 * afterwards.
 */
export abstract class ClientCall implements Expiring {
  isEnded = false;
  protected stream: Stream | undefined;
  protected connection: ClientConnection | undefined;
  #reader: MessageReader | undefined;
  #responseMetadata: IncomingMetadata | undefined;
  #isResponseGzip = false;
  #isPaused = false;
  #isPumping = false;
  #owedOctets = 0;
  /** Trailers that wait until the messages before them were delivered. */
  #waitingOutcome: { readonly error: GrpcError | undefined; readonly trailers: IncomingMetadata } | undefined;
  readonly #onAbort: (() => void) | undefined;

  constructor(
    protected readonly host: ClientCallHost,
    readonly plan: CallPlan,
  ) {
    if (plan.deadline !== Infinity) host.deadlines.add(this);
    if (plan.signal !== undefined) {
      this.#onAbort = () => this.cancel();
      plan.signal.addEventListener('abort', this.#onAbort, { once: true });
    }
  }

  /** The stream is open: send what waits. */
  protected abstract started(): void;
  protected abstract notifyHeaders(metadata: IncomingMetadata): void;
  /** One message of the answer; valid during the call only. */
  protected abstract notifyMessage(message: Uint8Array): void;
  /** The call is over; `trailers` is undefined when the peer gave none. */
  protected abstract notifyEnd(error: GrpcError | undefined, trailers: IncomingMetadata | undefined): void;
  abstract writable(): void;

  get deadline(): number {
    return this.plan.deadline;
  }

  get isSettled(): boolean {
    return this.isEnded;
  }

  /** Headers of the answer, once they arrived. */
  get responseMetadata(): IncomingMetadata | undefined {
    return this.#responseMetadata;
  }

  /** Called by the channel when the call gets its stream. */
  start(connection: ClientConnection, stream: Stream): void {
    this.connection = connection;
    this.stream = stream;
    this.started();
  }

  expire(): void {
    const error = new GrpcError(GrpcStatus.DeadlineExceeded, 'context deadline exceeded', {
      notSent: this.stream === undefined,
    });
    this.abort(error);
  }

  /** Gives the call up. Ignored when it has ended. */
  cancel(): void {
    this.abort(
      new GrpcError(GrpcStatus.Canceled, 'context canceled', { notSent: this.stream === undefined }),
    );
  }

  /** We end the call; the peer is told. */
  protected abort(error: GrpcError): void {
    if (this.isEnded) return;
    const { stream, connection } = this;
    this.end(error);
    if (stream !== undefined) connection?.cancelStream(stream);
  }

  /** The call is over, for whatever reason. */
  end(error: GrpcError | undefined, trailers?: IncomingMetadata): void {
    if (this.isEnded) return;
    this.isEnded = true;
    if (this.plan.deadline !== Infinity) this.host.deadlines.noteSettled();
    if (this.#onAbort !== undefined) this.plan.signal?.removeEventListener('abort', this.#onAbort);
    if (this.stream === undefined) this.host.forget(this);
    this.#returnWindow();
    this.notifyEnd(error, trailers ?? error?.metadata);
  }

  headers(block: HeaderBlock, endStream: boolean): void {
    if (this.isEnded) return;
    const problem = problemOfHeaders(block);
    if (problem !== undefined) {
      this.abort(problem);
      return;
    }
    if (endStream) {
      this.end(outcomeOfTrailers(block), new IncomingMetadata(block));
      return;
    }
    const encoding = parseEncoding(block.get('grpc-encoding'));
    if (encoding === undefined) {
      const name = block.get('grpc-encoding') ?? '';
      this.abort(
        new GrpcError(GrpcStatus.Internal, `grpc: Decompressor is not installed for grpc-encoding "${name}"`),
      );
      return;
    }
    this.#isResponseGzip = encoding === 'gzip';
    this.#responseMetadata = new IncomingMetadata(block);
    this.notifyHeaders(this.#responseMetadata);
  }

  data(buffer: Buffer, start: number, end: number, endStream: boolean): void {
    if (this.isEnded) return;
    this.#owedOctets += end - start;
    this.#reader ??= new MessageReader(this.host.maxReceiveBytes);
    this.#reader.push(buffer.subarray(start, end));
    this.#pump();
    this.#reader.settle();
    if (endStream) this.end(new GrpcError(GrpcStatus.Internal, 'the answer ended without trailers'));
  }

  trailers(block: HeaderBlock): void {
    if (this.isEnded) return;
    this.#waitingOutcome = { error: outcomeOfTrailers(block), trailers: new IncomingMetadata(block) };
    this.#pump();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#pump();
  }

  /** Sends one message on the open stream, and the end behind it. False: hold back until `writable`. */
  protected sendMessage(message: Uint8Array, endStream: boolean): boolean {
    if (this.isEnded || this.stream === undefined || this.connection === undefined) return true;
    const { maxSendBytes, gzipMinBytes } = this.host;
    if (message.length > maxSendBytes) {
      const text = `grpc: trying to send message larger than max (${message.length} vs. ${maxSendBytes})`;
      this.abort(new GrpcError(GrpcStatus.ResourceExhausted, text));
      return true;
    }
    const isCompressed = this.plan.isGzip && message.length >= gzipMinBytes;
    const sent = isCompressed ? gzip(message) : message;
    writePrefix(prefix, 0, isCompressed, sent.length);
    return this.connection.connection.sendData(this.stream, sent, endStream, prefix);
  }

  protected sendEnd(): void {
    if (this.isEnded || this.stream === undefined) return;
    this.connection?.connection.sendData(this.stream, noBytes, true);
  }

  /** Delivers messages as long as they are taken, then the outcome. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      while (!this.#isPaused && !this.isEnded) {
        const message = this.#reader?.next();
        if (message === undefined) break;
        const unpacked = this.#unpack(message);
        if (unpacked !== undefined) this.notifyMessage(unpacked);
      }
    } catch (error) {
      this.abort(errorOfMessage(error));
    } finally {
      this.#isPumping = false;
    }
    if (this.#isPaused || this.isEnded) return;
    this.#returnWindow();
    this.#deliverOutcome();
  }

  #deliverOutcome(): void {
    const outcome = this.#waitingOutcome;
    if (outcome === undefined) return;
    const isCut =
      outcome.error === undefined && this.#reader !== undefined && !this.#reader.isBetweenMessages;
    this.end(isCut ? new GrpcError(GrpcStatus.Internal, 'unexpected EOF') : outcome.error, outcome.trailers);
  }

  #unpack(message: Uint8Array): Uint8Array | undefined {
    if (this.#reader?.compressed !== true) return message;
    if (this.#isResponseGzip) return gunzip(message, this.host.maxReceiveBytes);
    const text = 'grpc: compressed flag set with identity or empty encoding';
    this.abort(new GrpcError(GrpcStatus.Internal, text));
    return undefined;
  }

  #returnWindow(): void {
    const octets = this.#owedOctets;
    if (octets === 0 || this.stream === undefined) return;
    this.#owedOctets = 0;
    this.connection?.connection.consumed(this.stream, octets);
  }
}

const noBytes = new Uint8Array(0);

function errorOfMessage(error: unknown): GrpcError {
  if (error instanceof MessageReadError) {
    const code = error.fault === 'too-large' ? GrpcStatus.ResourceExhausted : GrpcStatus.Internal;
    return new GrpcError(code, error.message);
  }
  if (error instanceof DecompressionError) {
    return new GrpcError(
      error.isTooLarge ? GrpcStatus.ResourceExhausted : GrpcStatus.Internal,
      error.message,
    );
  }
  throw error;
}
