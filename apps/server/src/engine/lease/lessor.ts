import { ProtocolError } from '@conclave/protocol';
import { type Backend, type ByteString } from '../backend/backend.js';
import { assert } from '../platform/assert.js';
import { LeaseQueue, type Queued } from './lease-queue.js';
import {
  afterPrefix,
  decodeLeaseId,
  decodeLeaseRow,
  encodeLeaseId,
  encodeLeaseRow,
  type LeaseRow,
  LEASE_ID_BYTES,
} from './lease-row.js';

/** The longest TTL, in seconds, as etcd has it. */
export const LEASE_TTL_SECONDS_MAX = 9_000_000_000;

/** The shortest TTL in seconds: a lease must outlive the election of a new leader (etcd v3, lease grant). */
export function minLeaseTtlSeconds(electionTimeoutMs: number): number {
  return Math.ceil((1.5 * electionTimeoutMs) / 1000);
}

export interface LessorOptions {
  /** An expired lease that is still there is handed out again after this time. Default 3,000. */
  readonly revokeRetryMs?: number;
  /** After a change of leader, at most so many leases expire within any second. Default 750. */
  readonly expiriesPerSecondMax?: number;
  /** The leader proposes a checkpoint of a lease so often. Default 300. Leases with shorter TTLs have none. */
  readonly checkpointIntervalSeconds?: number | undefined;
}

/** A lease as everybody sees it. */
export interface LeaseInfo {
  readonly ttlSeconds: number;
  /** Seconds that were left at the last checkpoint; undefined without one. */
  readonly checkpointSeconds: number | undefined;
}

export interface LeaseTime {
  /** Whole seconds left, rounded down; 0 when the lease has expired and its revoke is on the way. */
  readonly remainingSeconds: number;
  readonly grantedTtlSeconds: number;
}

/** A checkpoint that the leader should propose. */
export interface LeaseCheckpoint {
  readonly id: bigint;
  /** 0 cancels the checkpoint: the lease was renewed since. */
  readonly remainingSeconds: number;
}

/** Totals since the start, for metrics. */
export interface LessorCounts {
  readonly granted: number;
  readonly revoked: number;
  readonly renewed: number;
  /** Leases found expired by this member as leader, each counted once. */
  readonly expired: number;
}

/**
 * One lease. The first four fields are replicated state; the others belong to the clocks of a leader.
 *
 * Invariants: `expiresAtMs` never decreases while the clock runs; `dueAtMs <= expiresAtMs` until the lease was handed
 * out as expired; `place` is -1 exactly while no clock runs for it.
 */
interface Lease extends Queued {
  readonly id: bigint;
  readonly ttlSeconds: number;
  readonly grantedAt: number;
  checkpointSeconds: number;
  expiresAtMs: number;
  checkpointedAtMs: number;
  wasHandedOut: boolean;
}

const NEVER = Number.POSITIVE_INFINITY;

/**
 * The leases of the store.
 *
 * Its state is replicated: `grant`, `revoke`, `attach`, `detach` and `checkpoint` are called when entries are applied
 * and do the same on every member. The clocks are not: only a leader has them, between `promote` and `demote`, and
 * they decide nothing but when it proposes a revoke. A lease never expires early: its clock starts, at the earliest,
 * when its grant was applied, and a new leader starts all clocks anew.
 *
 * Times are monotonic milliseconds, given by the caller. Rows of attached keys stay in the backend.
 */
export class Lessor {
  /** Called with the TTL of each lease that is granted, in seconds. */
  onGranted: ((ttlSeconds: number) => void) | undefined;
  private readonly byId = new Map<bigint, Lease>();
  private readonly queue = new LeaseQueue<Lease>();
  /** Granted while leading, since the last call that gave the time. Their clocks start with the next one. */
  private unarmed: Lease[] = [];
  private isLeading = false;
  private readonly totals = { granted: 0, revoked: 0, renewed: 0, expired: 0 };
  private readonly revokeRetryMs: number;
  private readonly expiriesPerSecondMax: number;
  readonly checkpointIntervalMs: number;

  private constructor(
    private readonly backend: Backend,
    options: LessorOptions,
  ) {
    this.revokeRetryMs = options.revokeRetryMs ?? 3_000;
    this.expiriesPerSecondMax = options.expiriesPerSecondMax ?? 750;
    this.checkpointIntervalMs = (options.checkpointIntervalSeconds ?? 300) * 1000;
    assert(this.revokeRetryMs > 0, 'expired leases are not handed out in a loop');
    assert(this.expiriesPerSecondMax >= 1, 'leases may expire');
  }

  /** @throws BackendError when a stored lease cannot be read. */
  static recover(backend: Backend, options: LessorOptions = {}): Lessor {
    const lessor = new Lessor(backend, options);
    lessor.reload();
    return lessor;
  }

  /** Reads all leases again: the rows of the backend were replaced. Not for leaders. @throws BackendError */
  reload(): void {
    assert(!this.isLeading, 'the state of a leader is not replaced');
    this.byId.clear();
    this.backend.scan('lease', '', undefined, {}, (key, value) => {
      this.add(decodeLeaseId(key), decodeLeaseRow(value));
    });
  }

  get size(): number {
    return this.byId.size;
  }

  /** Number of attachments of keys to leases; counts rows, so ask when metrics are read. */
  get attachments(): number {
    return this.backend.count('leaseKey', '', undefined);
  }

  get counts(): LessorCounts {
    return this.totals;
  }

  has(id: bigint): boolean {
    return this.byId.has(id);
  }

  /** Whether the lease that has this id was granted by an entry up to `index`, and is not a later one of the same id. */
  existedAt(id: bigint, index: number): boolean {
    const lease = this.byId.get(id);
    return lease !== undefined && lease.grantedAt <= index;
  }

  get(id: bigint): LeaseInfo | undefined {
    const lease = this.byId.get(id);
    if (lease === undefined) return undefined;
    const { ttlSeconds, checkpointSeconds } = lease;
    return { ttlSeconds, checkpointSeconds: checkpointSeconds === 0 ? undefined : checkpointSeconds };
  }

  /**
   * `id` is not 0 and `ttlSeconds` at least 1: who proposes chooses the id and raises the TTL to the minimum.
   *
   * @param index Of the entry that grants it.
   * @throws ProtocolError LeaseExist, LeaseTTLTooLarge
   */
  grant(id: bigint, ttlSeconds: number, index: number): void {
    assert(id !== 0n, 'a lease id is never 0');
    assert(Number.isInteger(ttlSeconds) && ttlSeconds >= 1, 'a TTL is a whole number of seconds, at least 1');
    if (ttlSeconds > LEASE_TTL_SECONDS_MAX) throw ProtocolError.of('LeaseTTLTooLarge');
    if (this.byId.has(id)) throw ProtocolError.of('LeaseExist');
    const row = { ttlSeconds, checkpointSeconds: 0, grantedAt: index };
    this.backend.put('lease', encodeLeaseId(id), encodeLeaseRow(row));
    const lease = this.add(id, row);
    if (this.isLeading) this.unarmed.push(lease);
    this.totals.granted++;
    this.onGranted?.(ttlSeconds);
  }

  /**
   * Removes the lease and its attachments and returns the keys that were attached, sorted; the caller deletes them in
   * one revision. Detaching these keys afterwards does nothing.
   *
   * @throws ProtocolError LeaseNotFound
   */
  revoke(id: bigint): readonly ByteString[] {
    const lease = this.byId.get(id);
    if (lease === undefined) throw ProtocolError.of('LeaseNotFound');
    const keys = this.keysOf(id);
    const prefix = encodeLeaseId(id);
    for (const key of keys) this.backend.delete('leaseKey', prefix + key);
    this.backend.delete('lease', prefix);
    this.byId.delete(id);
    if (lease.place !== -1) this.queue.remove(lease);
    this.totals.revoked++;
    return keys;
  }

  /** Attaches a key. A key has one lease at most: the caller detaches the one that the key had. */
  attach(id: bigint, key: ByteString): void {
    assert(this.byId.has(id), 'keys are attached to existing leases');
    this.backend.put('leaseKey', encodeLeaseId(id) + key, NO_BYTES);
  }

  /** Detaching a key that is not attached does nothing. */
  detach(id: bigint, key: ByteString): void {
    this.backend.delete('leaseKey', encodeLeaseId(id) + key);
  }

  /** The keys attached to a lease, sorted; none for an unknown lease. */
  keysOf(id: bigint): ByteString[] {
    const prefix = encodeLeaseId(id);
    const keys: ByteString[] = [];
    this.backend.scan('leaseKey', prefix, afterPrefix(prefix), {}, (row) => {
      keys.push(row.slice(LEASE_ID_BYTES));
    });
    return keys;
  }

  /**
   * Stores how many seconds a lease has left, for the next leader; 0 cancels that. Unknown leases are ignored: they
   * were revoked since the checkpoint was proposed.
   */
  checkpoint(id: bigint, remainingSeconds: number): void {
    assert(
      Number.isInteger(remainingSeconds) && remainingSeconds >= 0,
      'a remainder is a whole number of seconds',
    );
    const lease = this.byId.get(id);
    if (lease === undefined) return;
    lease.checkpointSeconds = Math.min(remainingSeconds, lease.ttlSeconds);
    this.backend.put('lease', encodeLeaseId(id), encodeLeaseRow(lease));
  }

  /**
   * This member became leader: the clocks of all leases start with their full TTL, or what the last checkpoint left
   * of it, plus `extendMs` (the election timeout, during which nobody could renew). When very many would expire at
   * the same time they are spread.
   */
  promote(nowMs: number, extendMs: number): void {
    this.demote();
    this.isLeading = true;
    const leases = [...this.byId.values()];
    for (const lease of leases) {
      lease.expiresAtMs = nowMs + (lease.checkpointSeconds || lease.ttlSeconds) * 1000 + extendMs;
      lease.checkpointedAtMs = nowMs;
    }
    leases.sort((a, b) => a.expiresAtMs - b.expiresAtMs);
    const rate = this.expiriesPerSecondMax;
    for (let at = 0; at < leases.length; at++) {
      if (at >= rate) {
        leases[at].expiresAtMs = Math.max(leases[at].expiresAtMs, leases[at - rate].expiresAtMs + 1000);
      }
      this.queue.add(leases[at], leases[at].expiresAtMs);
    }
  }

  /** This member is leader no more: nothing expires here. */
  demote(): void {
    this.isLeading = false;
    this.unarmed = [];
    this.queue.clear();
    for (const lease of this.byId.values()) {
      lease.expiresAtMs = NEVER;
      lease.wasHandedOut = false;
    }
  }

  /**
   * Starts the lease's time anew and returns its TTL in seconds. It never shortens what the lease has left.
   * `'expired'`: the lease has expired and will be revoked; wait for that, then answer that it is gone. `undefined`:
   * there is no such lease. Only for leaders.
   */
  renew(id: bigint, nowMs: number): number | 'expired' | undefined {
    assert(this.isLeading, 'only a leader renews leases');
    this.armGranted(nowMs);
    const lease = this.byId.get(id);
    if (lease === undefined) return undefined;
    if (lease.expiresAtMs <= nowMs) return 'expired';
    // The queue learns of the new time when the old one has come: a keepalive costs no move in the heap.
    lease.expiresAtMs = Math.max(lease.expiresAtMs, nowMs + lease.ttlSeconds * 1000);
    this.totals.renewed++;
    return lease.ttlSeconds;
  }

  /**
   * At most `limit` leases whose time is over, the earliest first, to be revoked through the log. One that is not
   * revoked is handed out again after the retry interval.
   */
  expired(nowMs: number, limit: number): readonly bigint[] {
    const ids: bigint[] = [];
    if (!this.isLeading) return ids;
    this.armGranted(nowMs);
    while (ids.length < limit) {
      const lease = this.nextDue();
      if (lease === undefined || lease.dueAtMs > nowMs) break;
      if (!lease.wasHandedOut) this.totals.expired++;
      lease.wasHandedOut = true;
      this.queue.move(lease, nowMs + this.revokeRetryMs);
      ids.push(lease.id);
    }
    return ids;
  }

  /** The revoke of a lease that was handed out is in no log: it is handed out with the next ones, without the pause. */
  notRevoked(id: bigint, nowMs: number): void {
    const lease = this.byId.get(id);
    if (lease !== undefined && lease.place >= 0) this.queue.move(lease, Math.min(lease.dueAtMs, nowMs));
  }

  /** When `expired` has something to return next; undefined while no clock runs. Granted leases count after the next call with a time. */
  get nextExpiryMs(): number | undefined {
    return this.nextDue()?.dueAtMs;
  }

  /** What a lease has left. On a member that is not leader: its full TTL. */
  timeToLive(id: bigint, nowMs: number): LeaseTime | undefined {
    if (this.isLeading) this.armGranted(nowMs);
    const lease = this.byId.get(id);
    if (lease === undefined) return undefined;
    const leftMs = this.isLeading ? lease.expiresAtMs - nowMs : lease.ttlSeconds * 1000;
    return { remainingSeconds: Math.max(0, Math.floor(leftMs / 1000)), grantedTtlSeconds: lease.ttlSeconds };
  }

  /** All ids, ordered by expiry on a leader; then, and on others, by id. */
  leases(): readonly bigint[] {
    const all = [...this.byId.values()];
    all.sort((a, b) =>
      a.expiresAtMs === b.expiresAtMs ? compareIds(a.id, b.id) : a.expiresAtMs < b.expiresAtMs ? -1 : 1,
    );
    return all.map((lease) => lease.id);
  }

  /**
   * At most `limit` checkpoints that are due: of leases with a long TTL, so that they do not start anew with every
   * leader. Each is returned once per interval. Only for leaders.
   */
  dueCheckpoints(nowMs: number, limit: number): readonly LeaseCheckpoint[] {
    const due: LeaseCheckpoint[] = [];
    if (!this.isLeading) return due;
    this.armGranted(nowMs);
    for (const lease of this.byId.values()) {
      if (due.length >= limit) break;
      if (lease.ttlSeconds * 1000 <= this.checkpointIntervalMs || lease.expiresAtMs <= nowMs) continue;
      if (nowMs - lease.checkpointedAtMs < this.checkpointIntervalMs) continue;
      lease.checkpointedAtMs = nowMs;
      const leftSeconds = Math.ceil((lease.expiresAtMs - nowMs) / 1000);
      due.push({ id: lease.id, remainingSeconds: leftSeconds >= lease.ttlSeconds ? 0 : leftSeconds });
    }
    return due;
  }

  private add(id: bigint, { ttlSeconds, checkpointSeconds, grantedAt }: LeaseRow): Lease {
    const lease: Lease = {
      id,
      ttlSeconds,
      grantedAt,
      checkpointSeconds,
      expiresAtMs: NEVER,
      checkpointedAtMs: 0,
      wasHandedOut: false,
      dueAtMs: NEVER,
      place: -1,
    };
    this.byId.set(id, lease);
    return lease;
  }

  private armGranted(nowMs: number): void {
    if (this.unarmed.length === 0) return;
    for (const lease of this.unarmed) {
      if (this.byId.get(lease.id) !== lease) continue;
      lease.expiresAtMs = nowMs + lease.ttlSeconds * 1000;
      lease.checkpointedAtMs = nowMs;
      this.queue.add(lease, lease.expiresAtMs);
    }
    this.unarmed = [];
  }

  /** The lease that is due first, after renewed ones were moved to their new times. */
  private nextDue(): Lease | undefined {
    for (;;) {
      const lease = this.queue.peek();
      if (lease === undefined || lease.dueAtMs >= lease.expiresAtMs) return lease;
      this.queue.move(lease, lease.expiresAtMs);
    }
  }
}

const NO_BYTES = new Uint8Array(0);

function compareIds(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
