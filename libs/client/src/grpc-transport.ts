import {
  type ClientStream,
  GrpcChannel,
  GrpcError,
  nodeRuntime,
  type Runtime as GrpcRuntime,
} from '@conclave/grpc';
import { GrpcStatus } from '@conclave/protocol';
import { parseEndpoint } from './connection/endpoint.js';
import {
  type PausableStream,
  type StreamOptions,
  type Transport,
  TransportError,
  type TransportFactory,
  type TransportObserver,
  type TransportOptions,
  type TransportStream,
  type UnaryOptions,
} from './transport.js';

/** Transports over the given sockets and timers: the simulator's, or those of this process. */
export function grpcTransportOver(runtime: GrpcRuntime): TransportFactory {
  return (endpoint, options) => new GrpcTransport(endpoint, options, runtime);
}

/** Transports over the sockets of this process. */
export const grpcTransport: TransportFactory = grpcTransportOver(nodeRuntime);

/** One channel of @conclave/grpc. */
class GrpcTransport implements Transport {
  private readonly channel: GrpcChannel;

  /** @throws InvalidArgumentError when the endpoint is no address. */
  constructor(endpoint: string, options: TransportOptions, runtime: GrpcRuntime) {
    const { host, port, scheme } = parseEndpoint(endpoint);
    const isEncrypted = scheme === 'https' || (scheme === undefined && options.tls !== undefined);
    this.channel = new GrpcChannel(
      {
        target: { host, port, ...(isEncrypted ? { tls: options.tls ?? {} } : {}) },
        keepaliveIntervalMs: options.keepalive.timeMs,
        keepaliveTimeoutMs: options.keepalive.timeoutMs,
        userAgent: 'conclave-client',
      },
      runtime,
    );
    this.channel.onState = (state, error) => {
      if (state !== 'disconnected') return;
      options.onLost(
        new TransportError(GrpcStatus.Unavailable, error?.message ?? 'the connection was lost', true, {
          cause: error,
        }),
      );
    };
  }

  async unary(path: string, request: Uint8Array, options: UnaryOptions): Promise<Uint8Array> {
    try {
      return (await this.channel.unary(path, request, options)).message;
    } catch (error) {
      throw toTransportError(error);
    }
  }

  stream(path: string, options: StreamOptions, observer: TransportObserver): TransportStream {
    const { stream, cancel } = this.open(path, options, observer);
    return {
      send: (message) => {
        stream.send(message);
      },
      cancel,
    };
  }

  serverStream(
    path: string,
    request: Uint8Array,
    options: StreamOptions,
    observer: TransportObserver,
  ): PausableStream {
    const { stream, cancel } = this.open(path, options, observer);
    stream.send(request);
    stream.halfClose();
    return { pause: () => stream.pause(), resume: () => stream.resume(), cancel };
  }

  private open(
    path: string,
    options: StreamOptions,
    observer: TransportObserver,
  ): { readonly stream: ClientStream; readonly cancel: () => void } {
    const stream = this.channel.stream(path, { metadata: options.metadata });
    let isCancelled = false;
    stream.onMessage = (message) => observer.message(message);
    stream.onEnd = (error) => {
      if (!isCancelled) observer.end(error === undefined ? undefined : toTransportError(error));
    };
    const cancel = (): void => {
      isCancelled = true;
      stream.cancel();
    };
    return { stream, cancel };
  }

  close(): void {
    this.channel.onState = undefined;
    void this.channel.close();
  }
}

function toTransportError(error: unknown): TransportError {
  if (error instanceof GrpcError) {
    return new TransportError(error.code, error.message, !error.notSent, { cause: error });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new TransportError(GrpcStatus.Internal, message, true, { cause: error });
}
