export { type ConfigTree, type ConfigValue } from '@conclave/config-model';
export { type Credentials } from './auth/credentials.js';
export { type BackoffOptions } from './backoff.js';
export { type CacheFiles } from './cache/cache-files.js';
export {
  type CachedEntry,
  type CachedState,
  type CacheStore,
  type PinnedState,
} from './cache/cache-store.js';
export { fileCache, type FileCacheOptions } from './cache/file-cache.js';
export { type ConfigWarning, type ConfigWarningCode, type OnConfigWarning } from './cache/warning.js';
export {
  type ClientNetwork,
  type ClientOptions,
  type CloseOptions,
  type ConclaveClient,
  createClient,
  type RetryOptions,
  StoreClient,
} from './client.js';
export { type ClusterApi, type MemberInfo, type MemberStatus } from './cluster/cluster.js';
export { type AcquireOptions } from './concurrency/acquisition.js';
export {
  type CampaignOptions,
  type Election,
  type ElectionOptions,
  type LeaderInfo,
  type ResumeOptions,
} from './concurrency/election.js';
export { type Fence, type FencingToken } from './concurrency/fence.js';
export { type FencingGate, memoryFencingGate } from './concurrency/fencing-gate.js';
export { type Held, type Validity } from './concurrency/held.js';
export { type RunAsLeaderOptions } from './concurrency/leader-task.js';
export { type Leadership, type LeadershipRecord, type ResignOptions } from './concurrency/leadership.js';
export { type Waiter } from './concurrency/lock-queue.js';
export { type Elections, type Locks, type SessionOptions } from './concurrency/locks.js';
export {
  currentLock,
  type DistributedMutex,
  type LockHandle,
  type LockOptions,
  type RunOptions,
} from './concurrency/mutex.js';
export { type ElectionState, type ParticipateOptions } from './concurrency/participation.js';
export { type QueueReading } from './concurrency/queue-entries.js';
export { type ReadHandle, type ReadLock, type ReadWriteLock } from './concurrency/rwlock.js';
export { type Session } from './concurrency/session.js';
export {
  fencingTableSql,
  sqlFencingGate,
  type SqlDialect,
  type SqlFencingGateOptions,
  type SqlTransaction,
} from './concurrency/sql-fencing-gate.js';
export {
  fencingMigration,
  type FencingMigration,
  type TypeOrmDataSource,
  typeOrmFencingGate,
  type TypeOrmFencingGateOptions,
  type TypeOrmManager,
  type TypeOrmQueryRunner,
} from './concurrency/typeorm-fencing-gate.js';
export {
  configClass,
  type ConfigClassDefinition,
  type ConfigClassOptions,
  type ConfigClassRef,
  type ConfigPropertyOptions,
  type ConfigValidation,
} from './config/config-class.js';
export { type ConfigIdentity, type ConfigOptions, type StartMode } from './config/config-options.js';
export { type ConfigChange, type ConfigRef } from './config/config-ref.js';
export { type Configs } from './config/configs.js';
export {
  type ConfigFreshness,
  type ConfigSource,
  type DocumentView,
  type NamespaceStatus,
  type ValueOrigin,
} from './config/document-view.js';
export { type ConnectionState } from './connection/connection-state.js';
export { type Duration } from './duration.js';
export * from './errors.js';
export { grpcTransport, grpcTransportOver } from './grpc-transport.js';
export { type ClientWarning, type ConnectionWarning } from './host.js';
export { type Key, type RangeSelection, type Value } from './key-range.js';
export { type Entry, type LeaseId, type Revision } from './kv/entry.js';
export { type DeleteResult, type Kv, type PutResult, type RangeResult } from './kv/kv.js';
export {
  compare,
  type Comparison,
  type DeleteOptions,
  op,
  type Operation,
  type PutOptions,
  type RangeOptions,
  type ReadOptions,
} from './kv/operations.js';
export { type PageOptions } from './kv/paged-range.js';
export { type OperationResult, type TxnBuilder, type TxnResult } from './kv/txn.js';
export {
  type CallOptions,
  type KvStore,
  type RequestStream,
  type StoreReplacement,
  type StreamObserver,
} from './kv-store.js';
export { type Lease, type LeaseState } from './lease/lease.js';
export { type LeaseInfo, type LeaseOptions, type Leases } from './lease/leases.js';
export { type Clock, nodeRuntime, type Runtime, type Timer } from './runtime.js';
export { type ServiceInstance } from './services/instance.js';
export { type Cursor, type Message } from './services/message.js';
export { type RegisterOptions, type Registration, type RegistrationState } from './services/registration.js';
export { type OnceOptions, type Schedules } from './services/schedules.js';
export { type Services } from './services/services.js';
export { type PublishOptions, type SubscribeOptions, type Topics } from './services/topics.js';
export { type NetworkOptions } from './remote-network.js';
export { type TlsFiles } from './tls/tls-options.js';
export { nestLogger, type NestLoggerLike, pinoLogger, type PinoLike } from './telemetry/loggers.js';
export { openTelemetry, type OpenTelemetryLike } from './telemetry/open-telemetry.js';
export { prometheusMeter, type PromClientLike, type PromRegistryLike } from './telemetry/prometheus-meter.js';
export {
  type ClientMeter,
  type ClientMetric,
  type LoggerLike,
  type SpanAttributes,
  type SpanLike,
  type TelemetryOptions,
  type TracerLike,
} from './telemetry/telemetry-options.js';
export {
  type Metadata,
  type PausableStream,
  type StreamOptions,
  type TlsOptions,
  type Transport,
  TransportError,
  type TransportFactory,
  type TransportObserver,
  type TransportOptions,
  type TransportStream,
  type UnaryOptions,
} from './transport.js';
export { type IteratedBatch } from './watch/iterate.js';
export { latest } from './watch/latest.js';
export { type BatchCause, type KeyChange, type RevisionBatch } from './watch/revision-batch.js';
export { type Codec, type Freshness, type StateEntry, type StateView } from './watch/state.js';
export { type WatchWarning } from './watch/watch-monitor.js';
export {
  type IterateOptions,
  type StateOptions,
  type Watches,
  type WatchOptions,
  type WatchSurroundings,
} from './watch/watches.js';
