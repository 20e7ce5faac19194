import { Buffer } from 'node:buffer';
import { ErrorCode } from '../http2/error-code.js';
import { type HeaderBlock } from '../http2/header-block.js';
import { type Stream } from '../http2/stream.js';
import { type Endpoint, type TlsPeer } from '../transport/pipe.js';
import { type CallHost, IncomingStream } from './incoming-stream.js';

/** A request body that is larger than its reader allows. */
export class BodyTooLargeError extends Error {
  override readonly name = 'BodyTooLargeError';
}

/** The client went away before its request was complete, or before the answer was. */
export class ExchangeAbortedError extends Error {
  override readonly name = 'ExchangeAbortedError';
}

/** Header fields of a request that arrived. */
export interface RequestHeaders {
  /** The value of the first field of this lower-case name. */
  get(name: string): string | undefined;
  getAll(name: string): string[];
  /** All fields, names and values in turn, pseudo-header fields left out. */
  readonly fields: readonly string[];
}

/** Header fields of an answer. Names are made lower case; those of HTTP/1's connections are left out. */
export type ResponseHeaders = Readonly<Record<string, string | number | readonly string[] | undefined>>;

/**
 * One HTTP/2 request that is no gRPC, and its answer. Callbacks are set by whoever answers; until `onData` is set the
 * body waits in the flow-control window, so there is no hurry.
 */
export interface HttpExchange {
  readonly method: string;
  /** Path and query as sent. */
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly headers: RequestHeaders;
  readonly remote: Endpoint;
  readonly tls: TlsPeer | undefined;
  /** A part of the body; valid during the call. */
  onData: ((chunk: Uint8Array) => void) | undefined;
  /** The body is complete. */
  onEnd: (() => void) | undefined;
  /** The client is gone. Nothing else is called afterwards. */
  onAbort: (() => void) | undefined;
  /** An answer that held back takes chunks again. */
  onDrain: (() => void) | undefined;
  /** Stops and restarts `onData`. */
  pause(): void;
  resume(): void;
  /**
   * The whole body. Use it instead of `onData` and `onEnd`.
   * @throws BodyTooLargeError when it exceeds `maxBytes`; the rest is dropped.
   * @throws ExchangeAbortedError when the client went away.
   */
  readBody(maxBytes: number): Promise<Uint8Array>;
  /**
   * Answers with status, headers and a whole or streamed body. Resolves when all of it was handed to the connection.
   * @throws ExchangeAbortedError when the client went away while a stream was sent, and whatever the stream throws;
   *         the answer is then cut off.
   */
  respond(
    status: number,
    headers: ResponseHeaders,
    body?: Uint8Array | AsyncIterable<Uint8Array>,
  ): Promise<void>;
  /** The parts of `respond`, for callers that push: the head once, then chunks (false: wait for `onDrain`), then the end. */
  writeHead(status: number, headers: ResponseHeaders): void;
  write(chunk: Uint8Array): boolean;
  end(chunk?: Uint8Array): void;
  /** Cuts the exchange off. */
  abort(): void;
  readonly isAborted: boolean;
}

const connectionHeaders: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

const noBytes = new Uint8Array(0);

/**
 * The server's side of an exchange.
 *
 * Invariant: `#waiting` is empty unless the exchange is paused or `onData` is not set; `#waitingOctets` is its size,
 * and that much window is not returned, so it never exceeds the stream's window.
 */
export class ServerHttpExchange extends IncomingStream implements HttpExchange {
  onAbort: (() => void) | undefined = undefined;
  onDrain: (() => void) | undefined = undefined;
  onEnd: (() => void) | undefined = undefined;
  isAborted = false;
  #onData: ((chunk: Uint8Array) => void) | undefined = undefined;
  #waiting: Uint8Array[] = [];
  #isPaused = false;
  #isRequestEnded = false;
  #isEndDelivered = false;

  constructor(
    private readonly host: CallHost,
    private readonly stream: Stream,
    private readonly block: HeaderBlock,
  ) {
    super();
  }

  get method(): string {
    return this.block.get(':method') ?? '';
  }

  get path(): string {
    return this.block.get(':path') ?? '';
  }

  get authority(): string {
    return this.block.get(':authority') ?? this.block.get('host') ?? '';
  }

  get scheme(): string {
    return this.block.get(':scheme') ?? '';
  }

  get headers(): RequestHeaders {
    const { block } = this;
    const firstField = block.fields.findIndex((text, i) => i % 2 === 0 && !text.startsWith(':'));
    return {
      get: (name) => block.get(name),
      getAll: (name) => block.getAll(name),
      fields: firstField < 0 ? [] : block.fields.slice(firstField),
    };
  }

  get remote(): Endpoint {
    return this.host.remote;
  }

  get tls(): TlsPeer | undefined {
    return this.host.tls;
  }

  get onData(): ((chunk: Uint8Array) => void) | undefined {
    return this.#onData;
  }

  set onData(onData: ((chunk: Uint8Array) => void) | undefined) {
    this.#onData = onData;
    this.#deliverWaiting();
  }

  override data(buffer: Buffer, start: number, end: number, endStream: boolean): void {
    if (endStream) this.#isRequestEnded = true;
    const chunk = buffer.subarray(start, end);
    if (this.#onData === undefined || this.#isPaused) {
      if (chunk.length > 0) this.#waiting.push(new Uint8Array(chunk));
      return;
    }
    this.#deliver(chunk);
    this.#deliverEnd();
  }

  override cancel(): void {
    if (this.isAborted) return;
    this.isAborted = true;
    this.#waiting = [];
    this.#guard(this.onAbort);
  }

  override writable(): void {
    this.#guard(this.onDrain);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#deliverWaiting();
  }

  readBody(maxBytes: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const chunks: Uint8Array[] = [];
      let octets = 0;
      this.onAbort = () =>
        reject(new ExchangeAbortedError('the client went away before its request was complete'));
      if (this.isAborted) this.onAbort();
      this.onEnd = () => resolve(Buffer.concat(chunks));
      this.onData = (chunk) => {
        octets += chunk.length;
        if (octets <= maxBytes) chunks.push(new Uint8Array(chunk));
        else reject(new BodyTooLargeError(`the request body is larger than ${maxBytes} bytes`));
      };
    });
  }

  async respond(
    status: number,
    headers: ResponseHeaders,
    body?: Uint8Array | AsyncIterable<Uint8Array>,
  ): Promise<void> {
    if (body === undefined || body instanceof Uint8Array) {
      this.#sendHead(status, headers, body === undefined || body.length === 0);
      if (body !== undefined && body.length > 0) this.end(body);
      return;
    }
    this.writeHead(status, headers);
    try {
      for await (const chunk of body) {
        if (!this.write(chunk)) await this.#drained();
      }
      this.end();
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  writeHead(status: number, headers: ResponseHeaders): void {
    this.#sendHead(status, headers, false);
  }

  write(chunk: Uint8Array): boolean {
    if (chunk.length === 0) return true;
    return this.host.connection.sendData(this.stream, chunk, false);
  }

  end(chunk: Uint8Array = noBytes): void {
    this.host.connection.sendData(this.stream, chunk, true);
  }

  abort(): void {
    if (this.isAborted) return;
    this.isAborted = true;
    this.#waiting = [];
    this.host.connection.reset(this.stream, ErrorCode.CANCEL);
  }

  #sendHead(status: number, headers: ResponseHeaders, endStream: boolean): void {
    const fields = [':status', String(status)];
    for (const [name, value] of Object.entries(headers)) {
      const lowerName = name.toLowerCase();
      if (value === undefined || connectionHeaders.has(lowerName)) continue;
      if (typeof value === 'string' || typeof value === 'number') fields.push(lowerName, String(value));
      else for (const one of value) fields.push(lowerName, one);
    }
    this.host.connection.sendHeaders(this.stream, fields, endStream);
  }

  /** Resolves when the answer may go on. */
  #drained(): Promise<void> {
    return new Promise((resolve, reject) => {
      const gone = (): void =>
        reject(new ExchangeAbortedError('the client went away before the answer was complete'));
      if (this.isAborted || this.stream.closed) gone();
      this.onAbort = gone;
      this.onDrain = resolve;
    });
  }

  #deliver(chunk: Uint8Array): void {
    const onData = this.#onData;
    if (chunk.length > 0 && onData !== undefined) this.#guard(() => onData(chunk));
    this.host.connection.consumed(this.stream, chunk.length);
  }

  #deliverWaiting(): void {
    while (!this.#isPaused && this.#onData !== undefined && this.#waiting.length > 0) {
      this.#deliver(this.#waiting.shift() as Uint8Array);
    }
    this.#deliverEnd();
  }

  #deliverEnd(): void {
    if (!this.#isRequestEnded || this.#isEndDelivered || this.isAborted) return;
    if (this.#isPaused || this.#onData === undefined || this.#waiting.length > 0) return;
    this.#isEndDelivered = true;
    this.#guard(this.onEnd);
  }

  /** An exception of whoever answers is a defect of this exchange alone. */
  #guard(callback: (() => void) | undefined): void {
    if (callback === undefined) return;
    try {
      callback();
    } catch (error) {
      this.host.defect(error, `${this.method} ${this.path}`);
      this.abort();
    }
  }
}
