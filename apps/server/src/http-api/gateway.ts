import { type IncomingMessage, type ServerResponse } from 'node:http';
import { GrpcStatus } from '@conclave/protocol';
import { type MethodTable, type StreamMethod } from '../engine/requests/method.js';
import { type GatewayLimits } from './body-reader.js';
import { gatewayRoutes } from './gateway-routes.js';
import { sendFailure } from './http-error.js';
import { createMethodCodecs, type MethodCodec } from './message-codec.js';
import { StreamExchange } from './stream-exchange.js';
import { UnaryExchange } from './unary-exchange.js';

interface Target {
  readonly method: string;
  readonly codec: MethodCodec;
}

/** etcd's JSON API: translates between JSON over HTTP and the methods that gRPC serves. */
export class Gateway {
  readonly #targets = new Map<string, Target>();
  readonly #streams = new Set<StreamExchange>();

  constructor(
    private readonly methods: MethodTable,
    private readonly limits: GatewayLimits,
  ) {
    const codecs = createMethodCodecs();
    for (const { path, method } of gatewayRoutes) {
      const codec = codecs.get(method);
      if (codec === undefined) throw new Error(`the protocol has no method ${method}`);
      this.#targets.set(path, { method, codec });
    }
  }

  /** @param path Path of the URL without its query. */
  serve(path: string, request: IncomingMessage, response: ServerResponse): void {
    const target = this.#targets.get(path);
    if (target === undefined) {
      sendFailure(response, { code: GrpcStatus.NotFound, message: 'Not Found' });
    } else if (request.method !== 'POST') {
      const failure = { code: GrpcStatus.Unimplemented, message: 'Method Not Allowed', httpStatus: 405 };
      sendFailure(response, failure, { allow: 'POST' });
    } else {
      this.#call(target, request, response);
    }
  }

  #call({ method: name, codec }: Target, request: IncomingMessage, response: ServerResponse): void {
    const method = this.methods.get(name);
    if (method === undefined) {
      const [, service, method] = name.split('/');
      sendFailure(response, {
        code: GrpcStatus.Unimplemented,
        message: `unknown method ${method} for service ${service}`,
      });
    } else if (method.kind === 'unary') {
      new UnaryExchange(request, response, method, codec, this.limits);
    } else {
      this.#openStream(method, codec, request, response);
    }
  }

  #openStream(
    method: StreamMethod,
    codec: MethodCodec,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    let isOver = false;
    const exchange = new StreamExchange(request, response, method, codec, this.limits, (ended) => {
      isOver = true;
      this.#streams.delete(ended);
    });
    if (!isOver) this.#streams.add(exchange);
  }

  /** Ends all open streams, each with a last line that says so. */
  stop(): void {
    for (const stream of [...this.#streams]) stream.stop();
  }
}
