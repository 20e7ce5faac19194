import { GrpcChannel, type ClientTlsOptions, type Runtime } from '@conclave/grpc';
import { type Logger } from '../engine/platform/logger.js';
import { type MemberId } from '../engine/raft/message.js';
import { type Lane } from './message-kinds.js';
import { type PeerMetrics } from './peer-metrics.js';
import { type RefusalLog } from './refusal-log.js';

/** Sizes and times of the network between members; see {@link defaultLimits}. */
export interface PeerLimits {
  /** Messages that may wait for a member, bytes, by lane. */
  readonly queueBytes: Readonly<Record<Lane, number>>;
  /** Messages are joined up to this many bytes. */
  readonly batchBytes: number;
  /** Largest batch that is taken from a member; a single message may be as large. */
  readonly receiveBytesMax: number;
  readonly connectTimeoutMs: number;
  /** Silence of a member after which it is pinged, and further silence after which the connection counts as dead. */
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
  /** First and longest pause between attempts to connect. */
  readonly retryFirstMs: number;
  readonly retryLongestMs: number;
  readonly probeIntervalMs: number;
  /** Bytes of a state in one message. */
  readonly chunkBytes: number;
  /** A transfer that gets no further for so long is given up by either side. */
  readonly stateStallMs: number;
}

export const defaultLimits: PeerLimits = {
  queueBytes: { urgent: 4 << 20, bulk: 64 << 20 },
  batchBytes: 1 << 20,
  receiveBytesMax: 64 << 20,
  connectTimeoutMs: 3_000,
  keepaliveIntervalMs: 1_000,
  keepaliveTimeoutMs: 2_000,
  retryFirstMs: 20,
  retryLongestMs: 1_000,
  probeIntervalMs: 4_000,
  chunkBytes: 256 << 10,
  stateStallMs: 60_000,
};

/** What all parts of a member's network share. */
export interface PeerContext {
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly metrics: PeerMetrics;
  readonly refusals: RefusalLog;
  readonly limits: PeerLimits;
  readonly clusterId: bigint;
  readonly memberId: MemberId;
  /** Where other members reach this one. */
  readonly peerUrls: readonly string[];
  /** Read anew for each https connection, so that certificates can be replaced. @throws when they cannot be read. */
  readonly tls: () => ClientTlsOptions;
  /** An exception that nobody expects: the member must not go on. */
  readonly onDefect: (error: unknown, where: string) => void;
}

/**
 * A connection to one URL of a member, not connected yet.
 *
 * @throws TypeError when the URL is none, and whatever reading the certificates throws.
 */
export function openPeerChannel(
  context: Pick<PeerContext, 'runtime' | 'limits' | 'tls' | 'onDefect'>,
  url: string,
) {
  const { runtime, limits, tls, onDefect } = context;
  const { protocol, hostname, port } = new URL(url);
  const isTls = protocol === 'https:';
  const target = {
    // Members listen on the address that `localhost` stands for in the flags.
    host: hostname === 'localhost' ? '127.0.0.1' : hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (isTls ? 443 : 80) : Number(port),
    ...(isTls ? { tls: { serverName: hostname, ...tls() } } : {}),
  };
  return new GrpcChannel(
    {
      target,
      connectTimeoutMs: limits.connectTimeoutMs,
      keepaliveIntervalMs: limits.keepaliveIntervalMs,
      keepaliveTimeoutMs: limits.keepaliveTimeoutMs,
      keepaliveWithoutStreams: true,
      onDefect: (error) => onDefect(error, 'the network between members'),
    },
    runtime,
  );
}

/** Whether a connection could not be made because nothing listens there: the process is gone, the machine is not. */
export function isConnectionRefused(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    if ('code' in cause && cause.code === 'ECONNREFUSED') return true;
  }
  return false;
}

/** A member's id as people read it. */
export function idText(id: MemberId): string {
  return id.toString(16);
}
