import { type Observable } from 'rxjs';
import { LeaseExpiredError } from '../errors.js';
import { type LeaseId } from '../kv/entry.js';
import { type Lease, type LeaseState } from '../lease/lease.js';

/**
 * A lease that locks and leaderships are bound to. When it is lost, everything bound to it is lost at the same moment;
 * when it is closed, the store deletes all its keys.
 *
 * Invariant: `uses` counts the claims whose key may exist; a retired session closes when none is left.
 */
export class Session implements AsyncDisposable {
  private uses = 0;
  private isRetired = false;

  constructor(
    readonly lease: Lease,
    /** True for the client's own one, which everything without a session of its own is bound to. */
    readonly isShared = false,
  ) {}

  get leaseId(): LeaseId {
    return this.lease.id;
  }

  /** Aborts with a LeaseExpiredError when the session is lost or closed. */
  get signal(): AbortSignal {
    return this.lease.signal;
  }

  get state$(): Observable<LeaseState> {
    return this.lease.state$;
  }

  /** Milliseconds for which the session may be believed in, by the clock. */
  remainingMs(): number {
    return this.lease.remainingMs();
  }

  isAlive(): boolean {
    return this.lease.isAlive();
  }

  /** True for a session that takes no new claims. */
  get retired(): boolean {
    return this.isRetired;
  }

  /** @throws LeaseExpiredError when the session is lost, closed or retired. */
  use(): void {
    if (this.isRetired || !this.isAlive()) {
      throw new LeaseExpiredError('the session has ended', this.lease.lossReason ?? 'closed');
    }
    this.uses += 1;
    this.lease.hold();
  }

  unuse(): void {
    this.uses -= 1;
    this.lease.unhold();
    if (this.isRetired && this.uses === 0) void this.close();
  }

  /** Takes no new claims, and closes after the last one. */
  retire(): void {
    this.isRetired = true;
    if (this.uses === 0) void this.close();
  }

  /** Revokes the lease. Idempotent; never rejects. */
  close(): Promise<void> {
    this.isRetired = true;
    return this.lease.revoke();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
