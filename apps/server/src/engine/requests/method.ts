import type { ProtocolError } from '@conclave/protocol';
import type { ChunkLender } from '../watch/watch-sink.js';

/** What the transport knows of a caller. */
export interface RequestContext {
  /** Auth token: gRPC metadata `token`, or the HTTP header `Authorization`. */
  readonly token: string | undefined;
  /** Metadata `hasleader: true`: fail at once while no leader is known. */
  readonly requireLeader: boolean;
  /** Called at most once when the caller gave up (cancellation, deadline, lost connection); set it to learn of that. */
  onCancel: (() => void) | undefined;
}

/** Ends a unary call: either an error or the encoded response message. Called exactly once. */
export type Reply = (error: ProtocolError | undefined, response: Uint8Array | undefined) => void;

/**
 * A method that takes one message and gives one. Messages cross this boundary encoded, because stored KeyValue bytes
 * are copied into answers rather than decoded and encoded again.
 */
export interface UnaryMethod {
  readonly kind: 'unary';
  /** True: `request` is valid during the call only, so it need not be copied for this method. */
  readonly readsAtOnce?: boolean;
  call(request: Uint8Array, context: RequestContext, reply: Reply): void;
}

/** @param lender Told when the chunk is not needed any more, if the transport knows. */
export type SendFramed = (chunk: Uint8Array, messages: number, lender: ChunkLender) => boolean;

/** Where a streaming method sends its answers; implemented by the transport. */
export interface ResponseStream {
  /** Queues one encoded message. False: the peer reads slower than we send, wait for `onDrain` before sending more. */
  send(message: Uint8Array): boolean;
  /**
   * Queues several messages at once; undefined when the transport cannot. `chunk` holds `messages` of them back to back,
   * each behind gRPC's prefix of five bytes, and is not written again before it is given back. Otherwise as `send`.
   */
  readonly sendFramed?: SendFramed | undefined;
  /** Ends the stream, with status OK when there is no error. Nothing may be sent afterwards. */
  end(error?: ProtocolError): void;
  /** Set by the method: called when a stream that held back accepts messages again. */
  onDrain: (() => void) | undefined;
}

/** What the transport tells an open stream. After `cancel` nothing else is called. */
export interface RequestStream {
  /** One encoded message; valid during the call only. */
  message(request: Uint8Array): void;
  /** The caller sends no more. */
  halfClose(): void;
  /** The caller is gone; release everything. */
  cancel(): void;
}

/** A server-streaming or bidirectional method. */
export interface StreamMethod {
  readonly kind: 'stream';
  open(context: RequestContext, responses: ResponseStream): RequestStream;
}

export type Method = UnaryMethod | StreamMethod;

/** Every method that a member serves, by its gRPC path (`/etcdserverpb.KV/Range`). */
export type MethodTable = ReadonlyMap<string, Method>;
