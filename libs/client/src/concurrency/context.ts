import { type Backoff } from '../backoff.js';
import { type Host } from '../host.js';
import { type Kv } from '../kv/kv.js';
import { type TxnBuilder } from '../kv/txn.js';
import { type Leases } from '../lease/leases.js';
import { type Clock, type Runtime } from '../runtime.js';
import { type Watches } from '../watch/watches.js';
import { type LocalQueues } from './local-queue.js';
import { type SessionPool } from './session-pool.js';

/** What locks and elections are made of: nothing but keys, watches, leases and time. */
export interface ConcurrencyContext {
  /** Keys and watches with absolute names. */
  readonly kv: Kv;
  readonly watches: Watches;
  readonly leases: Leases;
  /** A transaction with the caller's own names, under the client's key prefix. */
  readonly userTxn: () => TxnBuilder;
  readonly keyPrefix: string;
  readonly clock: Clock;
  readonly newBackoff: () => Backoff;
  readonly random: Runtime['random'];
  readonly host: Host;
  readonly sessions: SessionPool;
  readonly queues: LocalQueues;
  /** Aborts with a ClosedError when the client closes. */
  readonly closing: AbortSignal;
  /** Aborts with a ClosedError when nothing more is to be acquired: when the client closes, or before. */
  readonly acquiring: AbortSignal;
  /** Everything that is held or being cleaned up, so that closing can wait for it. */
  readonly open: Set<Closable>;
}

export interface Closable {
  close(): Promise<void>;
}
