import { type Lender } from '../http2/lender.js';
import { type GrpcStatus } from '../status.js';
import { type Endpoint, type TlsPeer } from '../transport/pipe.js';
import { type IncomingMetadata, type MetadataEntries } from './metadata.js';

/** What every call knows of its caller. */
export interface ServerCall {
  /** The request's metadata, decoded on demand. */
  readonly metadata: IncomingMetadata;
  /** The method's path, `/package.Service/Method`. */
  readonly path: string;
  /** When the caller gives up, on the clock of {@link Runtime.now}; Infinity when it waits for ever. */
  readonly deadline: number;
  readonly remote: Endpoint;
  /** The caller's TLS identity; undefined without TLS. */
  readonly tls: TlsPeer | undefined;
  /** True once the call has ended, by answer, failure or cancellation. Answers after that are dropped. */
  readonly isDone: boolean;
  /**
   * Ends the call with a status other than OK. `trailers` are sent beside it. Ignored when the call has ended.
   */
  fail(code: GrpcStatus, message: string, trailers?: MetadataEntries): void;
}

/** A call with one request and one answer. */
export interface UnaryCall extends ServerCall {
  /** Set by the method: the caller gave up (cancellation, deadline, lost connection). Called at most once. */
  onCancel: (() => void) | undefined;
  /** Ends the call with one message and status OK. The bytes must not change afterwards. Ignored when the call has ended. */
  respond(message: Uint8Array): void;
}

/** A call whose request, answer or both are streams of messages. */
export interface StreamCall extends ServerCall {
  /** Set by the method: a call that held back takes messages again. */
  onDrain: (() => void) | undefined;
  /**
   * Queues one message; the bytes must not change afterwards (several calls may share them). False: the peer reads
   * slower than we send, hold back until `onDrain`. Dropped when the call has ended.
   */
  send(message: Uint8Array): boolean;
  /** Whether `sendFramed` may be used: not when this caller wants compressed messages. */
  readonly takesFrames: boolean;
  /**
   * Queues several messages at once: `chunk` holds `messages` of them back to back, each behind its prefix of five
   * octets, uncompressed. Otherwise as `send`; a `lender` may get the chunk back.
   */
  sendFramed(chunk: Uint8Array, messages: number, lender?: Lender): boolean;
  /** Sends the headers now instead of with the first message. Without effect once they were sent. */
  sendHeaders(): void;
  /** Ends the call with status OK, after everything sent. Ignored when the call has ended. */
  end(): void;
  /** Stops and restarts the delivery of messages; the peer then feels the window close. */
  pause(): void;
  resume(): void;
}

/** What the transport tells an open stream. After `cancel`, or after the method ended the call, nothing else is called. */
export interface StreamHandler {
  /** One message of the request; valid during the call only. */
  message(request: Uint8Array): void;
  /** The caller sends no more messages. It still waits for answers. */
  halfClose(): void;
  /** The caller gave up or is gone: release everything. */
  cancel(): void;
}

/** A method with one request and one answer. `request` is valid during the call only: copy what must live longer. */
export interface UnaryServerMethod {
  readonly kind: 'unary';
  handle(request: Uint8Array, call: UnaryCall): void;
}

/** A method of any other kind. */
export interface StreamServerMethod {
  readonly kind: 'stream';
  open(call: StreamCall): StreamHandler;
}

/**
 * A method of a server. An exception that it throws ends the call with INTERNAL and is reported to the owner of the
 * server; it does not touch other calls.
 */
export type ServerMethod = UnaryServerMethod | StreamServerMethod;
