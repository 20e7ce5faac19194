export { type BackoffOptions } from './backoff.js';
export {
  type ClientNetwork,
  type ClientOptions,
  type CloseOptions,
  type ConclaveClient,
  createClient,
  type RetryOptions,
  StoreClient,
} from './client.js';
export { type AcquireOptions } from './concurrency/acquisition.js';
export {
  type CampaignOptions,
  type Election,
  type ElectionOptions,
  type LeaderInfo,
} from './concurrency/election.js';
export { type FencingToken, type Held, type Validity } from './concurrency/held.js';
export { type Leadership } from './concurrency/leadership.js';
export { type Elections, type Locks, type SessionOptions } from './concurrency/locks.js';
export {
  type DistributedMutex,
  type LockHandle,
  type LockOptions,
  type RunOptions,
} from './concurrency/mutex.js';
export { type Session } from './concurrency/session.js';
export { type ConnectionState } from './connection/connection-state.js';
export { type Duration } from './duration.js';
export * from './errors.js';
export { grpcTransport, grpcTransportOver } from './grpc-transport.js';
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
export {
  type Metadata,
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
export { type BatchCause, type KeyChange, type RevisionBatch } from './watch/revision-batch.js';
export { type Codec, type Freshness, type StateEntry, type StateView } from './watch/state.js';
export { type StateOptions, type Watches, type WatchOptions } from './watch/watches.js';
