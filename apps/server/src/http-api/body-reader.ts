import { type Buffer } from 'node:buffer';
import { type IncomingMessage } from 'node:http';
import { GrpcStatus } from '@conclave/protocol';
import { type HttpFailure } from './http-error.js';
import { InvalidJson, type JsonLimits, JsonSplitter, JsonTooLarge } from './json-splitter.js';
import { type MethodCodec } from './message-codec.js';

/** Limits of the JSON API. */
export interface GatewayLimits {
  /** Largest request message, encoded; larger ones are refused as gRPC refuses them. */
  readonly messageBytesMax: number;
  readonly depthMax: number;
  /** Time in which the body of a request that is not a stream must arrive. */
  readonly bodyTimeoutMs: number;
}

/** JSON writes bytes in base64 and escapes: a text may be this much longer than the message that it stands for. */
const jsonGrowth = 2;
const jsonSlackBytes = 65_536;

function splitterLimits(limits: GatewayLimits): JsonLimits {
  return { bytesMax: limits.messageBytesMax * jsonGrowth + jsonSlackBytes, depthMax: limits.depthMax };
}

/** Turns what went wrong with a body into an answer; anything else is a mistake of ours and is thrown again. */
export function bodyFailure(error: unknown): HttpFailure {
  if (error instanceof JsonTooLarge)
    return { code: GrpcStatus.ResourceExhausted, message: error.message, httpStatus: 413 };
  if (error instanceof MessageTooLarge) return { code: GrpcStatus.ResourceExhausted, message: error.message };
  if (error instanceof InvalidJson) return { code: GrpcStatus.InvalidArgument, message: error.message };
  throw error;
}

class MessageTooLarge extends Error {}

/** What a body reader reports. After `failed` nothing else is called. */
export interface BodyHandler {
  message(request: Uint8Array): void;
  ended(): void;
  failed(failure: HttpFailure): void;
}

/** Reads the JSON objects of a request body as they arrive and hands them on as encoded messages. */
export class BodyReader {
  readonly #splitter: JsonSplitter;
  #isOver = false;

  constructor(
    private readonly request: IncomingMessage,
    private readonly codec: MethodCodec,
    private readonly limits: GatewayLimits,
    private readonly handler: BodyHandler,
  ) {
    this.#splitter = new JsonSplitter(splitterLimits(limits));
    request.on('data', (chunk: Buffer) => this.#received(chunk));
    request.on('end', () => this.#ended());
  }

  /** Hands on nothing more; what still arrives is read and dropped. */
  stop(): void {
    this.#isOver = true;
  }

  #received(chunk: Buffer): void {
    if (this.#isOver) return;
    let texts: string[];
    try {
      texts = this.#splitter.push(chunk);
    } catch (error) {
      this.#fail(error);
      return;
    }
    for (const text of texts) {
      const message = this.#encode(text);
      if (this.#isOver || message === undefined) return;
      this.handler.message(message);
    }
  }

  #encode(text: string): Uint8Array | undefined {
    try {
      const message = this.codec.encodeRequest(text);
      if (message.length <= this.limits.messageBytesMax) return message;
      const sizes = `(${message.length} vs. ${this.limits.messageBytesMax})`;
      throw new MessageTooLarge(`grpc: received message larger than max ${sizes}`);
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  #ended(): void {
    if (this.#isOver) return;
    try {
      this.#splitter.end();
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#isOver = true;
    this.handler.ended();
  }

  #fail(error: unknown): void {
    this.#isOver = true;
    this.handler.failed(bodyFailure(error));
  }
}
