import type { Observable } from 'rxjs';
import type {
  AcquireOptions,
  CampaignOptions,
  DistributedMutex,
  Duration,
  FencingToken,
  Held,
  LeaderInfo,
  Leadership,
  LeaseId,
  LockHandle,
  LockOptions,
  LossReason,
  Revision,
  Value,
} from '../../src/index.js';

/** One place in the queue of a lock; the first one holds it. */
export interface Waiter {
  readonly key: string;
  readonly leaseId: LeaseId;
  /** Its token when its turn comes: fixed when it queued. */
  readonly token: FencingToken;
  /** What it wrote into its key, as text; by default host and process. */
  readonly text: string;
  readonly isHolder: boolean;
}

/** Added to AcquireOptions. */
export interface AcquireOptionsToCome {
  /** Told when queued, and whenever the number of those ahead changes. */
  readonly onQueued?: (ahead: number) => void;
}

/** Added to DistributedMutex. */
export interface MutexToCome {
  /** Subscribing acquires, unsubscribing releases; emits the handle once; errors with LockLostError on loss. */
  hold$(options?: AcquireOptions): Observable<LockHandle>;
  /** Holder first, then who waits, in order; each change. */
  queue$(): Observable<readonly Waiter[]>;
  queue(options?: { readonly linearizable?: boolean }): Promise<readonly Waiter[]>;
}

/** Added to LockOptions. */
export interface LockOptionsToCome {
  /**
   * What acquiring a lock does that this very chain of calls holds already (found through AsyncLocalStorage): `refuse`, the
   * default, rejects with DeadlockError at once instead of waiting for ever; `wait` waits.
   */
  readonly reentry?: 'refuse' | 'wait';
}

/** The lock that the calling chain of functions holds: inside `run`, or a method under `@WithLock`. */
export declare function currentLock(name?: string): LockHandle | undefined;

/**
 * Many readers or one writer, in the order of asking: a writer that waits stops later readers. Readers have no token, because
 * several hold it at once.
 */
export interface ReadWriteLock {
  readonly name: string;
  readonly read: ReadLock;
  readonly write: DistributedMutex;
}
export interface ReadLock {
  acquire(options?: AcquireOptions): Promise<ReadHandle>;
  tryAcquire(options?: Omit<AcquireOptions, 'wait'>): Promise<ReadHandle | null>;
  run<T>(fn: (handle: ReadHandle) => Promise<T>, options?: AcquireOptions): Promise<T>;
}
export interface ReadHandle extends Omit<Held, 'token' | 'headers'> {
  release(): Promise<void>;
}

/** Added to Locks. */
export interface LocksToCome {
  rwlock(name: string, options?: LockOptions): ReadWriteLock;
}

export type ElectionState =
  | { readonly role: 'follower'; readonly leader: LeaderInfo | null }
  | { readonly role: 'candidate'; readonly ahead: number; readonly leader: LeaderInfo | null }
  | { readonly role: 'leader'; readonly leadership: Leadership }
  | { readonly role: 'suspect'; readonly leadership: Leadership }
  | { readonly role: 'draining'; readonly leadership: Leadership };

export interface ParticipateOptions {
  readonly value?: Value;
  /** After a leadership ended, how long until the next campaign, with jitter; default 1 s. */
  readonly cooldown?: Duration;
  /** Candidate only while this is true (a health check, say); turning false while leading resigns. Default: always. */
  readonly eligible$?: Observable<boolean>;
  /** How long a leader that unsubscribes may take to come to an end before its key is deleted; default 5 s. */
  readonly drain?: Duration;
}

export interface RunAsLeaderOptions extends Omit<ParticipateOptions, 'eligible$'> {
  /** Ends the participation: the function's signal aborts, it may drain, then the key is deleted. */
  readonly signal?: AbortSignal;
  /**
   * After a loss: `restart` (default) campaigns again once the function has settled; `throw` rejects with
   * LeadershipLostError; `exit` ends the process with code 1 when the function has not settled by the local deadline.
   */
  readonly onLost?: 'restart' | 'throw' | 'exit';
}

/** A leadership that a restarted process takes up again, as long as its lease lives. */
export interface LeadershipRecord {
  readonly leaseId: LeaseId;
  readonly key: string;
  readonly token: FencingToken;
}

/** Added to Election. */
export interface ElectionToCome {
  /**
   * Takes part until unsubscribed: every state in order, `leader` and its end exactly paired, campaigning again with a
   * cool-down after each end. Unsubscribing drains, then resigns.
   */
  participate(options?: ParticipateOptions): Observable<ElectionState>;
  /**
   * Runs the function whenever this process leads, never twice at once. The key is deleted only after the function has
   * settled, but at the latest when the local deadline passes, which the store then does.
   *
   * @throws what the function throws; LeadershipLostError with `onLost: 'throw'`; CancelledError when the signal aborted.
   */
  runAsLeader(fn: (leadership: Leadership) => Promise<void>, options?: RunAsLeaderOptions): Promise<void>;
  /** Takes up a recorded leadership. @throws LeadershipLostError (rejects) when its lease or key is gone. */
  resume(record: LeadershipRecord, options?: CampaignOptions): Promise<Leadership>;
}

/** Added to Leadership. */
export interface LeadershipToCome {
  /** For `resume` after a restart; keep it where only this instance reads it. */
  record(): LeadershipRecord;
  /** Resigns in favour of this candidate: those between stand back once. Best effort; the queue decides otherwise. */
  resign(options?: { readonly to?: string; readonly drain?: Duration }): Promise<void>;
  readonly done: Promise<LossReason | 'resigned'>;
}

/** What a protected resource must know about the one who wants to write. */
export interface Fence {
  readonly clusterId: bigint;
  readonly token: FencingToken;
}

/**
 * Stands before a protected resource and remembers the highest token it has let through. The row of the gate and the guarded
 * writes are one SQL transaction, so that a holder of an older token can change nothing.
 */
export interface FencingGate<Tx> {
  /**
   * @throws FencedOffError (rejects) for a token lower than the highest one seen, or of another cluster than the adopted
   *   one; nothing was written then. What `fn` throws rolls back both.
   */
  run<T>(resource: string, fence: Fence, fn: (transaction: Tx) => Promise<T>): Promise<T>;
  /** The one store whose tokens count from now on, after a store was replaced on purpose. Forgets the highest token. */
  adopt(resource: string, clusterId: bigint): Promise<void>;
}

/** Of a TypeORM data source. The table `conclave_fence` is made by {@link FencingGateEntity}'s migration. */
export declare function typeOrmFencingGate(dataSource: object): FencingGate<object>;

/** Of any SQL client: how to run a statement inside a transaction. `dialect` decides parameters and the row lock. */
export interface SqlTransaction {
  query(
    sql: string,
    parameters: readonly (string | number | null)[],
  ): Promise<{ readonly rows: readonly object[]; readonly changes: number }>;
}
export declare function sqlFencingGate<Tx extends SqlTransaction>(options: {
  readonly dialect: 'postgres' | 'sqlite' | 'mysql';
  readonly transaction: <T>(fn: (transaction: Tx) => Promise<T>) => Promise<T>;
  /** Default `conclave_fence`. */
  readonly table?: string;
}): FencingGate<Tx>;
/** In the memory of this process: for tests, and for resources that live in it. */
export declare function memoryFencingGate(): FencingGate<undefined>;
export declare const fencingTableSql: Readonly<Record<'postgres' | 'sqlite' | 'mysql', string>>;

/** Added to LockHandle and Leadership. */
export interface HeldToCome {
  /** Token and store, for a {@link FencingGate}. */
  fence(): Fence;
  /** The revision at which it was acquired. */
  readonly acquiredAt: Revision;
}
