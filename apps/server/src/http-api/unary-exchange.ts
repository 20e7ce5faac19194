import { Buffer } from 'node:buffer';
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { GrpcStatus, type ProtocolError } from '@conclave/protocol';
import { type RequestContext, type UnaryMethod } from '../engine/requests/method.js';
import { type BodyHandler, BodyReader, type GatewayLimits } from './body-reader.js';
import { type HttpFailure, sendFailure } from './http-error.js';
import { type MethodCodec } from './message-codec.js';
import { contextOf, timeoutOf } from './request-context.js';
import { sendInSlices } from './sliced-response.js';

const empty = new Uint8Array(0);
/** Longer answers are written in slices, so that formatting them does not hold up everybody else. */
const slicedFromBytes = 32_768;

/**
 * One request over HTTP to a unary method: a body of at most one JSON object, one JSON object as the answer.
 *
 * Invariant: exactly one of answer, failure and disconnect ends the exchange; `#isOver` tells that one did.
 */
export class UnaryExchange implements BodyHandler {
  readonly #context: RequestContext;
  readonly #body: BodyReader;
  readonly #timeoutMs: number | undefined;
  #request: Uint8Array | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(
    request: IncomingMessage,
    private readonly response: ServerResponse,
    private readonly method: UnaryMethod,
    private readonly codec: MethodCodec,
    limits: GatewayLimits,
  ) {
    this.#context = contextOf(request.headers);
    this.#timeoutMs = timeoutOf(request.headers);
    this.#startTimer(limits.bodyTimeoutMs, {
      code: GrpcStatus.DeadlineExceeded,
      message: `the body did not arrive within ${limits.bodyTimeoutMs} ms`,
      httpStatus: 408,
    });
    this.#body = new BodyReader(request, codec, limits, this);
    response.on('close', () => this.#disconnected());
  }

  message(request: Uint8Array): void {
    if (this.#request === undefined) this.#request = request;
    else
      this.failed({
        code: GrpcStatus.InvalidArgument,
        message: 'the body must be one JSON object, not several',
      });
  }

  ended(): void {
    clearTimeout(this.#timer);
    if (this.#timeoutMs !== undefined) {
      this.#startTimer(this.#timeoutMs, {
        code: GrpcStatus.DeadlineExceeded,
        message: 'context deadline exceeded',
      });
    }
    this.method.call(this.#request ?? empty, this.#context, (error, response) =>
      this.#replied(error, response),
    );
  }

  failed(failure: HttpFailure): void {
    if (!this.#finish()) return;
    this.#body.stop();
    // The rest of the body is unread, so the connection cannot serve another request.
    sendFailure(this.response, failure, { connection: 'close' });
  }

  #startTimer(delayMs: number, failure: HttpFailure): void {
    this.#timer = setTimeout(() => {
      this.failed(failure);
      this.#cancel();
    }, delayMs);
    this.#timer.unref();
  }

  #replied(error: ProtocolError | undefined, message: Uint8Array | undefined): void {
    if (!this.#finish()) return;
    if (error !== undefined || message === undefined) {
      sendFailure(
        this.response,
        error ?? { code: GrpcStatus.Internal, message: 'the method gave no answer' },
      );
    } else if (message.length < slicedFromBytes) {
      const body = this.codec.responses.write(message);
      this.response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      });
      this.response.end(body);
    } else {
      this.response.writeHead(200, { 'content-type': 'application/json' });
      sendInSlices(this.response, this.codec.responses.pieces(message));
    }
  }

  #disconnected(): void {
    if (this.#finish()) this.#cancel();
  }

  #cancel(): void {
    const { onCancel } = this.#context;
    this.#context.onCancel = undefined;
    onCancel?.();
  }

  /** True for the first of all ends. */
  #finish(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    clearTimeout(this.#timer);
    return true;
  }
}
