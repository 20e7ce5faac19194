import { type IncomingMessage, type ServerResponse } from 'node:http';
import { GrpcStatus, ProtocolError } from '@conclave/protocol';
import { type RequestStream, type ResponseStream, type StreamMethod } from '../engine/requests/method.js';
import { type BodyHandler, BodyReader, type GatewayLimits } from './body-reader.js';
import { failureLine, type HttpFailure, httpStatusOf } from './http-error.js';
import { type MethodCodec } from './message-codec.js';
import { contextOf, timeoutOf } from './request-context.js';

const empty = new Uint8Array(0);
const headers = { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' } as const;

/**
 * One request over HTTP to a streaming method: JSON objects in, one line per message out. The end of the body is the
 * half-close of the stream; whether that ends it is the method's decision (a watch goes on, a keep-alive ends).
 *
 * Invariant: nothing is sent and nothing is told to the method after `#isOver`; `cancel` is called at most once, and
 * never after the method ended the stream itself.
 */
export class StreamExchange implements BodyHandler, ResponseStream {
  onDrain: (() => void) | undefined;
  readonly #body: BodyReader;
  readonly #stream: RequestStream;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #messages = 0;

  constructor(
    request: IncomingMessage,
    private readonly response: ServerResponse,
    method: StreamMethod,
    private readonly codec: MethodCodec,
    limits: GatewayLimits,
    private readonly onOver: (exchange: StreamExchange) => void,
  ) {
    this.#body = new BodyReader(request, codec, limits, this);
    this.#stream = method.open(contextOf(request.headers), this);
    response.on('drain', () => this.onDrain?.());
    response.on('close', () => this.#disconnected());
    const timeoutMs = timeoutOf(request.headers);
    if (timeoutMs !== undefined) this.#startTimer(timeoutMs);
  }

  send(message: Uint8Array): boolean {
    if (this.#isOver) return true;
    if (!this.response.headersSent) this.response.writeHead(200, headers);
    return this.response.write(`{"result":${this.codec.responses.write(message)}}\n`);
  }

  end(error?: ProtocolError): void {
    if (!this.#finish()) return;
    if (error !== undefined) {
      this.#sendFailure(error);
      return;
    }
    if (!this.response.headersSent) this.response.writeHead(200, headers);
    this.response.end();
  }

  message(request: Uint8Array): void {
    if (this.#isOver) return;
    this.#messages++;
    if (this.#isBidirectional || this.#messages === 1) this.#stream.message(request);
    else
      this.failed({
        code: GrpcStatus.InvalidArgument,
        message: 'the body must be one JSON object, not several',
      });
  }

  ended(): void {
    if (this.#isOver) return;
    if (this.#messages === 0 && !this.#isBidirectional) this.#stream.message(empty);
    if (!this.#isOver) this.#stream.halfClose();
  }

  failed(failure: HttpFailure): void {
    if (!this.#finish()) return;
    this.#stream.cancel();
    this.response.shouldKeepAlive = false;
    this.#sendFailure(failure);
  }

  /** The member stops: ends the stream and says why. */
  stop(): void {
    this.failed(ProtocolError.of('Stopped'));
  }

  get #isBidirectional(): boolean {
    return this.codec.kind === 'bidi_streaming';
  }

  #sendFailure(failure: HttpFailure): void {
    if (!this.response.headersSent) this.response.writeHead(httpStatusOf(failure), headers);
    this.response.end(failureLine(failure));
  }

  #startTimer(timeoutMs: number): void {
    const failure = { code: GrpcStatus.DeadlineExceeded, message: 'context deadline exceeded' };
    this.#timer = setTimeout(() => this.failed(failure), timeoutMs);
    this.#timer.unref();
  }

  #disconnected(): void {
    if (this.#finish()) this.#stream.cancel();
  }

  /** True for the first of all ends. */
  #finish(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#body.stop();
    this.onOver(this);
    return true;
  }
}
