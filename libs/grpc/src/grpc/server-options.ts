import { type ConnectionOptions } from '../http2/options.js';
import { type GrpcStatus } from '../status.js';
import { type DriveOptions } from '../transport/driven-connection.js';
import { type HttpExchange } from './http-exchange.js';
import { type MethodStats } from './server-stats.js';

/** Limits and behaviour of a server. Every field is optional; the defaults face untrusted clients. */
export interface GrpcServerOptions {
  /** Largest request message, octets, also after decompression. Default 4 MiB. */
  readonly maxReceiveBytes?: number;
  /** Largest answer message, octets. Default 2^31 − 1. */
  readonly maxSendBytes?: number;
  /** Streams that one client may have open at once on one connection. Default 16,384. */
  readonly maxConcurrentStreams?: number;
  /** Answers of at least this many octets are compressed for clients that compress their requests. Default 1,024. */
  readonly gzipMinBytes?: number;
  /** Silence of a client after which it is pinged. Default 2 hours; Infinity: never. */
  readonly keepaliveIntervalMs?: number;
  /** Further silence after which it counts as dead. Default 20 s. */
  readonly keepaliveTimeoutMs?: number;
  /** Time for a client's preface and SETTINGS. Default 10 s. */
  readonly handshakeTimeoutMs?: number;
  /** Time for one header block. Default 10 s. */
  readonly headersTimeoutMs?: number;
  /** Least time between a client's pings. Default 5 s. Two are forgiven after each DATA or HEADERS that we send. */
  readonly minPingIntervalMs?: number;
  /** Further limits of the HTTP/2 core: windows, rates, header sizes. */
  readonly http2?: ConnectionOptions;
  /** Answers HTTP/2 requests that are no gRPC. Without it they get 415. */
  readonly onHttp2Request?: (exchange: HttpExchange) => void;
  /** A method or the transport threw: a defect. The call has been ended with INTERNAL, or its connection closed. */
  readonly onDefect?: (error: unknown, where: string) => void;
  /** A header by whose value calls are counted, in `stats.callsByHeader`. */
  readonly countCallsBy?: string;
  /** Observes every ended call; when absent, calls are not timed. */
  readonly onHandled?: (method: MethodStats, code: GrpcStatus, durationMs: number) => void;
}

/** The options with their defaults. */
export interface ServerSettings {
  readonly maxReceiveBytes: number;
  readonly maxSendBytes: number;
  readonly gzipMinBytes: number;
  readonly drive: DriveOptions;
}

/** How long a connection that we closed may take to read our last words. */
const lingerMs = 1_000;

/** @throws RangeError when a number makes no sense. */
export function resolveServerOptions(options: GrpcServerOptions): ServerSettings {
  return {
    maxReceiveBytes: positive('maxReceiveBytes', options.maxReceiveBytes ?? 4 * 1024 * 1024),
    maxSendBytes: positive('maxSendBytes', options.maxSendBytes ?? 0x7fff_ffff),
    gzipMinBytes: options.gzipMinBytes ?? 1_024,
    drive: {
      http2: {
        minPingIntervalMs: options.minPingIntervalMs ?? 5_000,
        maxConcurrentStreams: positive('maxConcurrentStreams', options.maxConcurrentStreams ?? 16_384),
        ...options.http2,
      },
      keepalive: {
        intervalMs: positive('keepaliveIntervalMs', options.keepaliveIntervalMs ?? 2 * 3_600_000),
        timeoutMs: positive('keepaliveTimeoutMs', options.keepaliveTimeoutMs ?? 20_000),
        withoutStreams: true,
      },
      handshakeTimeoutMs: positive('handshakeTimeoutMs', options.handshakeTimeoutMs ?? 10_000),
      headersTimeoutMs: positive('headersTimeoutMs', options.headersTimeoutMs ?? 10_000),
      lingerMs,
    },
  };
}

/** @throws RangeError */
export function positive(name: string, value: number): number {
  if (value > 0) return value;
  throw new RangeError(`${name} is ${value}; it must be more than 0`);
}
