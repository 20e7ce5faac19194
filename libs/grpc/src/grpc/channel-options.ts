import { type ConnectionOptions } from '../http2/options.js';
import { type ConnectTarget } from '../runtime.js';
import { type DriveOptions } from '../transport/driven-connection.js';
import { type MetadataEntries } from './metadata.js';
import { positive } from './server-options.js';

/** One server and how to talk to it. */
export interface GrpcChannelOptions {
  readonly target: ConnectTarget;
  /** `:authority` of requests; host and port of the target by default. */
  readonly authority?: string;
  /** Time for TCP, TLS and the HTTP/2 handshake together. Default 5 s. */
  readonly connectTimeoutMs?: number;
  /** Silence of the server after which it is pinged. Default 10 s; Infinity: never. */
  readonly keepaliveIntervalMs?: number;
  /** Further silence after which the connection counts as dead. Default 3 s. */
  readonly keepaliveTimeoutMs?: number;
  /** Ping also while no call is open. Default false; etcd closes connections of clients that do so. */
  readonly keepaliveWithoutStreams?: boolean;
  /** Largest answer message, octets, also after decompression. Default 2^31 − 1, as in etcd's client. */
  readonly maxReceiveBytes?: number;
  /** Largest request message, octets. Default 2^31 − 1; the server has its own limit. */
  readonly maxSendBytes?: number;
  /** Compress requests of at least `gzipMinBytes` (default 1,024). Default false. */
  readonly gzip?: boolean;
  readonly gzipMinBytes?: number;
  readonly userAgent?: string;
  /** Further limits of the HTTP/2 core: windows, rates, header sizes. */
  readonly http2?: ConnectionOptions;
  /** A callback of a stream threw, or the transport did: a defect. */
  readonly onDefect?: (error: unknown) => void;
}

/** How one call is made. */
export interface CallOptions {
  readonly metadata?: MetadataEntries;
  /** The call ends with DeadlineExceeded after this time. Default: never. */
  readonly timeoutMs?: number;
  /** Gives the call up when it fires. */
  readonly signal?: AbortSignal;
}

/** The options with their defaults. */
export interface ChannelSettings {
  readonly authority: string;
  readonly maxReceiveBytes: number;
  readonly maxSendBytes: number;
  readonly gzip: boolean;
  readonly gzipMinBytes: number;
  readonly userAgent: string;
  readonly drive: DriveOptions;
}

const messageBytesMax = 0x7fff_ffff;

/** @throws RangeError when a number makes no sense. */
export function resolveChannelOptions(options: GrpcChannelOptions): ChannelSettings {
  return {
    authority: options.authority ?? authorityOf(options.target),
    maxReceiveBytes: positive('maxReceiveBytes', options.maxReceiveBytes ?? messageBytesMax),
    maxSendBytes: positive('maxSendBytes', options.maxSendBytes ?? messageBytesMax),
    gzip: options.gzip ?? false,
    gzipMinBytes: options.gzipMinBytes ?? 1_024,
    userAgent: options.userAgent ?? 'conclave-grpc',
    drive: {
      http2: options.http2 ?? {},
      keepalive: {
        intervalMs: positive('keepaliveIntervalMs', options.keepaliveIntervalMs ?? 10_000),
        timeoutMs: positive('keepaliveTimeoutMs', options.keepaliveTimeoutMs ?? 3_000),
        withoutStreams: options.keepaliveWithoutStreams ?? false,
      },
      handshakeTimeoutMs: positive('connectTimeoutMs', options.connectTimeoutMs ?? 5_000),
      headersTimeoutMs: 10_000,
      lingerMs: 1_000,
    },
  };
}

function authorityOf(target: ConnectTarget): string {
  if (target.path !== undefined) return 'localhost';
  const host = target.host ?? 'localhost';
  // An IPv6 address stands in brackets (RFC 3986 §3.2.2).
  return `${host.includes(':') ? `[${host}]` : host}:${target.port ?? 0}`;
}
