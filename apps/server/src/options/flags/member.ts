import { choice, duration, text, toggle, urlList, wholeNumber } from '../flag.js';

/** A member by itself: its name, its disk, where it listens and what it accepts. */
export const memberFlags = {
  name: text('name', 'default', 'Human-readable name of this member.'),
  dataDir: text('data-dir', '', 'Path of the data directory.', { defaultNote: '${name}.etcd' }),
  walDir: text('wal-dir', '', 'Path of a directory of its own for the write-ahead log.', {
    defaultNote: 'inside the data directory',
  }),
  listenClientUrls: urlList(
    'listen-client-urls',
    'http://localhost:2379',
    'URLs to listen on for clients (gRPC and HTTP).',
  ),
  listenClientHttpUrls: urlList(
    'listen-client-http-urls',
    '',
    'URLs to listen on for HTTP only; while set, the client URLs serve gRPC only.',
  ),
  listenPeerUrls: urlList(
    'listen-peer-urls',
    'http://localhost:2380',
    'URLs to listen on for other members.',
  ),
  heartbeatInterval: duration(
    'heartbeat-interval',
    '100',
    { min: 1, max: 10_000, plainUnit: 'ms' },
    'Time between two heartbeats of the leader.',
  ),
  electionTimeout: duration(
    'election-timeout',
    '1000',
    { min: 5, max: 50_000, plainUnit: 'ms' },
    'How long a follower waits for its leader before it campaigns; at least five heartbeat intervals.',
  ),
  quotaBackendBytes: wholeNumber(
    'quota-backend-bytes',
    0,
    { min: -1, max: Number.MAX_SAFE_INTEGER, unit: 'bytes' },
    'Size of the store at which writes are refused and an alarm is raised; 0 means 2 GiB, -1 means no quota.',
  ),
  maxTxnOps: wholeNumber(
    'max-txn-ops',
    128,
    { min: 1, max: 1_000_000, unit: 'operations' },
    'Most operations in one transaction.',
  ),
  maxRequestBytes: wholeNumber(
    'max-request-bytes',
    1_572_864,
    { min: 1_024, max: 1_073_741_824, unit: 'bytes' },
    'Largest request that a client may send; more than 10485760 is not advised.',
  ),
  maxConcurrentStreams: wholeNumber(
    'max-concurrent-streams',
    16_384,
    { min: 1, max: 4_294_967_295, unit: 'streams' },
    'Most streams that one client connection may have open at a time.',
  ),
  grpcKeepaliveMinTime: duration(
    'grpc-keepalive-min-time',
    '5s',
    { min: 0, max: 86_400_000 },
    'Least time between two pings of a client; one that pings more often is disconnected.',
  ),
  grpcKeepaliveInterval: duration(
    'grpc-keepalive-interval',
    '2h',
    { min: 0, max: 2_073_600_000 },
    'Time without traffic after which the server pings a client; 0 turns it off.',
  ),
  grpcKeepaliveTimeout: duration(
    'grpc-keepalive-timeout',
    '20s',
    { min: 0, max: 86_400_000 },
    'How long the answer to such a ping may take before the connection is closed; 0 turns it off.',
  ),
} as const;

const noSnapshots = 'the log is cut whenever the store has been written to disk';

/** Flags of a member that exist in etcd and have nothing to set here. */
export const inertMemberFlags = {
  snapshotCount: wholeNumber(
    'snapshot-count',
    10_000,
    { min: 1, max: Number.MAX_SAFE_INTEGER, unit: 'entries' },
    'Committed entries after which etcd takes a snapshot.',
    { withoutEffect: noSnapshots },
  ),
  maxSnapshots: wholeNumber(
    'max-snapshots',
    5,
    { min: 0, max: 1_000_000, unit: 'files' },
    'Snapshot files to keep.',
    {
      withoutEffect: noSnapshots,
    },
  ),
  maxWals: wholeNumber('max-wals', 5, { min: 0, max: 1_000_000, unit: 'files' }, 'Log files to keep.', {
    withoutEffect: noSnapshots,
  }),
  backendBatchInterval: text('backend-batch-interval', '', 'Longest time before the store is committed.', {
    withoutEffect: 'the store decides itself when to write',
  }),
  backendBatchLimit: wholeNumber(
    'backend-batch-limit',
    0,
    { min: 0, max: Number.MAX_SAFE_INTEGER, unit: 'operations' },
    'Most operations before the store is committed.',
    { withoutEffect: 'the store decides itself when to write' },
  ),
  initialElectionTickAdvance: toggle(
    'initial-election-tick-advance',
    true,
    'Whether to hasten the first election.',
    {
      withoutEffect: 'a member that starts alone campaigns at once',
    },
  ),
  logger: choice('logger', 'zap', ['zap'], 'Logger of etcd.', {
    withoutEffect: 'logs are always structured',
  }),
  enableV2: toggle('enable-v2', false, 'Whether etcd serves its v2 API.', {
    withoutEffect: 'the v2 API left etcd with 3.6 and does not exist here',
  }),
} as const;
