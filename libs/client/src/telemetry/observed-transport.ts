import { GrpcStatus } from '@conclave/protocol';
import { type Clock } from '../runtime.js';
import {
  type PausableStream,
  type StreamOptions,
  type Transport,
  TransportError,
  type TransportFactory,
  type TransportObserver,
  type TransportStream,
  type UnaryOptions,
} from '../transport.js';
import { type Telemetry } from './telemetry.js';

/** `KV/Range` of `/etcdserverpb.KV/Range`. */
export function methodLabel(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

/** Transports whose calls are counted, measured, and sent with the trace that they belong to. */
export function observedTransports(
  factory: TransportFactory,
  telemetry: Telemetry | undefined,
  clock: Clock,
): TransportFactory {
  if (telemetry?.meter === undefined && telemetry?.tracing === undefined) return factory;
  return (endpoint, options) => {
    const inner = factory(endpoint, options);
    const observed = new ObservedTransport(inner, telemetry, clock);
    return inner.serverStream === undefined
      ? observed
      : new ObservedStreamingTransport(inner, telemetry, clock);
  };
}

class ObservedTransport implements Transport {
  constructor(
    protected readonly inner: Transport,
    private readonly telemetry: Telemetry,
    private readonly clock: Clock,
  ) {}

  async unary(path: string, request: Uint8Array, options: UnaryOptions): Promise<Uint8Array> {
    const method = methodLabel(path);
    const begin = this.clock.monotonic();
    let code: GrpcStatus = GrpcStatus.OK;
    try {
      return await this.inner.unary(path, request, this.traced(options));
    } catch (error) {
      code = error instanceof TransportError ? error.code : GrpcStatus.Unknown;
      throw error;
    } finally {
      const { meter } = this.telemetry;
      meter?.count('conclave_client_calls_total', { method, code: GrpcStatus[code] });
      meter?.measure('conclave_client_call_seconds', { method }, (this.clock.monotonic() - begin) / 1_000);
    }
  }

  stream(path: string, options: StreamOptions, observer: TransportObserver): TransportStream {
    const counted = this.counted(path, observer);
    // A lease outlives whatever asked for it.
    const belongs = !path.endsWith('/LeaseKeepAlive');
    const stream = this.inner.stream(path, belongs ? this.traced(options) : options, counted.observer);
    return {
      send: (message) => stream.send(message),
      cancel: () => {
        stream.cancel();
        counted.cancelled();
      },
    };
  }

  close(): void {
    this.inner.close();
  }

  protected traced<O extends StreamOptions>(options: O): O {
    const traceparent = this.telemetry.tracing?.traceparent();
    return traceparent === undefined
      ? options
      : { ...options, metadata: { ...options.metadata, traceparent } };
  }

  /** Counts a stream once, when it ends or is cancelled. */
  protected counted(path: string, inner: TransportObserver) {
    let isCounted = false;
    const count = (code: GrpcStatus): void => {
      if (isCounted) return;
      isCounted = true;
      const labels = { method: methodLabel(path), code: GrpcStatus[code] };
      this.telemetry.meter?.count('conclave_client_calls_total', labels);
    };
    const observer: TransportObserver = {
      message: (bytes) => inner.message(bytes),
      end: (error) => {
        count(error?.code ?? GrpcStatus.OK);
        inner.end(error);
      },
    };
    return { observer, cancelled: () => count(GrpcStatus.Canceled) };
  }
}

/** Of a transport that has streams of answers too. */
class ObservedStreamingTransport extends ObservedTransport {
  serverStream(
    path: string,
    request: Uint8Array,
    options: StreamOptions,
    observer: TransportObserver,
  ): PausableStream {
    const counted = this.counted(path, observer);
    const { serverStream } = this.inner;
    if (serverStream === undefined) throw new Error('this transport has no streams of answers');
    const stream = serverStream.call(this.inner, path, request, this.traced(options), counted.observer);
    return {
      pause: () => stream.pause(),
      resume: () => stream.resume(),
      cancel: () => {
        stream.cancel();
        counted.cancelled();
      },
    };
  }
}
