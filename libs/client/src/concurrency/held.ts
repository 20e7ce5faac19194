import { type Observable, ReplaySubject, type Subscription } from 'rxjs';
import { type Duration, durationMs } from '../duration.js';
import { type ConclaveError, FencedOffError, type LossReason, NotHeldError } from '../errors.js';
import { type CallOptions } from '../kv-store.js';
import { type LeaseId, type Revision } from '../kv/entry.js';
import { compare, op } from '../kv/operations.js';
import { type Timer } from '../runtime.js';
import { type TxnBuilder, type TxnResult } from '../kv/txn.js';
import { type WatchSignal } from '../watch/resuming-watch.js';
import { type Claim } from './claim.js';
import { type ConcurrencyContext } from './context.js';
import { type Fence, type FencingToken } from './fence.js';
import { type HeldLink, runHolding } from './held-chain.js';

/** `deadline`: milliseconds on the client's monotonic clock; nothing must be believed from then on. */
export type Validity =
  | { readonly kind: 'held'; readonly deadline: number }
  | { readonly kind: 'suspect'; readonly deadline: number }
  | { readonly kind: 'lost'; readonly reason: LossReason };

/** The words in which a kind of holding speaks of itself. */
export interface HeldKind {
  readonly type: HeldLink['type'];
  readonly what: string;
  readonly name: string;
  /** What is held for less than so many milliseconds is not watched: a watch costs more than a short hold itself. */
  readonly watchAfterMs: number;
  lost(message: string, reason: LossReason): ConclaveError;
}

/**
 * Something that is held: a lock or a leadership.
 *
 * Between a check here and the arrival of a write at some other system any amount of time may pass: no client can prevent
 * that. Pass `token` along with the write and let the resource refuse lower ones; for this store use {@link guardTxn}.
 *
 * Invariants: it ends once, by release or by loss, and never begins again; after the end its place in the local queue is
 * free, its watch is closed and its session is no longer used by it.
 */
export abstract class Held implements AsyncDisposable {
  private readonly abort = new AbortController();
  private readonly validity = new ReplaySubject<Validity>(1);
  private readonly subscriptions: Subscription[] = [];
  private watchTimer: Timer | undefined;
  private over: 'released' | LossReason | undefined;
  private releasing: Promise<void> | undefined;

  /** Aborts on loss, never on release. By timer: after a stall it may be late, so use {@link assertHeld} as well. */
  readonly signal: AbortSignal = this.abort.signal;
  /** Replays the newest; completes after `lost` or a release. */
  readonly validity$: Observable<Validity>;

  constructor(
    protected readonly context: ConcurrencyContext,
    protected readonly claim: Claim,
    private readonly kind: HeldKind,
    private readonly onOver: () => void,
  ) {
    this.validity$ = this.validity.asObservable();
  }

  /** Begins to listen to the session and to the own key. Called once, by whoever acquired it. */
  begin(): this {
    const { session } = this.claim;
    this.context.open.add(this);
    this.subscriptions.push(
      session.state$.subscribe((state) => {
        if (state.kind === 'lost') this.lose(state.reason);
        else this.tell({ kind: state.kind === 'alive' ? 'held' : 'suspect', deadline: state.deadline });
      }),
    );
    // A session that was lost already has ended this before the timer was there.
    if (this.over !== undefined) this.stopListening();
    else if (this.kind.watchAfterMs === 0) this.watchOwnKey();
    else this.watchTimer = this.context.clock.setTimer(this.kind.watchAfterMs, () => this.watchOwnKey());
    return this;
  }

  /** From the revision of the ownership on, so nothing is missed that happened before. */
  private watchOwnKey(): void {
    const { key, confirmedAt } = this.claim;
    const signals$ = this.context.watches.open(key, { fromRevision: confirmedAt + 1n, baseline: [key] });
    this.subscriptions.push(
      signals$.subscribe({ next: (signal) => this.onOwnKey(signal), error: () => undefined }),
    );
    if (this.over !== undefined) this.stopListening();
  }

  get token(): FencingToken {
    return this.claim.token;
  }

  /** The owner's key in the store, with the client's key prefix. */
  get key(): string {
    return this.claim.key;
  }

  /** The revision at which the store said that it owns. */
  get acquiredAt(): Revision {
    return this.claim.confirmedAt;
  }

  /** Token and store, for the gate of a protected resource. */
  fence(): Fence {
    return { clusterId: this.claim.clusterId, token: this.token };
  }

  /**
   * Runs the function as one that holds this: `currentLock` finds it in all that the function calls, and asking for the same
   * again from there is refused as a deadlock.
   */
  runWithin<T>(fn: () => T): T {
    const { prefix, clusterId } = this.claim;
    const { type, name } = this.kind;
    return runHolding({ type, name, prefix, clusterId, owner: this.context, held: this }, fn);
  }

  get leaseId(): LeaseId {
    return this.claim.session.leaseId;
  }

  /** Milliseconds for which it is certainly held, by the clock and not by a timer; 0 when it is not. */
  remainingMs(): number {
    return this.isHeld() ? this.claim.session.remainingMs() : 0;
  }

  isHeld(): boolean {
    // Asking the session looks at the clock: if its term is over, this is lost before the answer.
    return this.over === undefined && this.claim.session.isAlive();
  }

  /**
   * Call it before every side effect.
   *
   * @throws LockLostError or LeadershipLostError when it is not certainly held for `minRemaining` (default 0) more.
   * @throws NotHeldError when it was released.
   */
  assertHeld(minRemaining: Duration = 0): void {
    const leastMs = durationMs(minRemaining, 'minRemaining');
    const remainingMs = this.remainingMs();
    if (remainingMs > 0 && remainingMs >= leastMs) return;
    if (this.over === 'released') throw new NotHeldError(`${this.kind.what} was given back`);
    if (this.over !== undefined) throw this.lossError(this.over);
    const message = `${this.kind.what} is certain for ${remainingMs} ms only, ${leastMs} ms are needed`;
    throw this.kind.lost(message, 'lease-expired-local');
  }

  /**
   * Commits a transaction only if this is still held, which the store itself decides at the moment of the commit.
   *
   * @throws FencedOffError (rejects) when it is not; nothing was changed then.
   */
  async guardTxn(build: (txn: TxnBuilder) => TxnBuilder, options?: CallOptions): Promise<TxnResult> {
    return this.guard(build(this.context.userTxn()), options);
  }

  /** A guarded transaction on absolute names. */
  protected guardOwn(build: (txn: TxnBuilder) => TxnBuilder, options?: CallOptions): Promise<TxnResult> {
    return this.guard(build(this.context.kv.txn()), options);
  }

  private async guard(inner: TxnBuilder, options: CallOptions | undefined): Promise<TxnResult> {
    this.assertHeld();
    const outer = await this.context.kv.txn().if(this.isMine()).do(op.txn(inner)).commit(options);
    const [result] = outer.results;
    if (outer.succeeded && result?.kind === 'txn') {
      const { revision, clusterId } = outer;
      return { succeeded: result.succeeded, revision, clusterId, results: result.results };
    }
    this.lose('key-deleted');
    throw new FencedOffError(
      `${this.kind.what} is no longer held by token ${this.token}: nothing was changed`,
    );
  }

  /** Asks the store. @throws LockLostError or LeadershipLostError (rejects) when the key is gone. */
  async verify(options?: CallOptions): Promise<void> {
    this.assertHeld();
    const entry = await this.context.kv.get(this.claim.key, options);
    if (entry?.createRevision !== this.token) this.lose('key-deleted');
    this.assertHeld();
  }

  /** To pass to a downstream resource that checks tokens. */
  headers(): { readonly 'x-conclave-fencing-token': string; readonly 'x-conclave-lock': string } {
    // Header values are ASCII; a name may be anything.
    return {
      'x-conclave-fencing-token': String(this.token),
      'x-conclave-lock': encodeURIComponent(this.kind.name),
    };
  }

  /** Ends it because the client closes: lost for whoever still works under it, given back in the store. */
  async close(): Promise<void> {
    this.lose('closed');
    await this.claim.withdraw();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.giveBack();
  }

  /**
   * Deletes the key if it is still this owner's. Idempotent; never rejects: it is repeated until the local deadline, and
   * after that the TTL does it.
   */
  protected giveBack(): Promise<void> {
    this.releasing ??= this.finish();
    return this.releasing;
  }

  protected ended(_how: 'released' | LossReason): void {}

  protected isMine() {
    return compare.createRevision(this.claim.key).equals(this.token);
  }

  protected lose(reason: LossReason): void {
    if (this.over !== undefined) return;
    this.over = reason;
    this.stopListening();
    this.validity.next({ kind: 'lost', reason });
    this.validity.complete();
    this.abort.abort(this.lossError(reason));
    this.ended(reason);
    this.onOver();
  }

  private async finish(): Promise<void> {
    if (this.over !== undefined) return;
    // By the clock: what is lost by now is reported as lost, not as released.
    if (!this.isHeld()) return;
    this.over = 'released';
    this.stopListening();
    this.validity.complete();
    await this.claim.withdraw();
    this.ended('released');
    this.onOver();
  }

  private onOwnKey(signal: WatchSignal): void {
    if (signal.kind !== 'batch') return;
    if (signal.batch.cause === 'store-replaced') return this.lose('store-replaced');
    for (const change of signal.batch.changes) {
      if (change.type === 'delete' || change.createRevision !== this.token) this.lose('key-deleted');
    }
  }

  private lossError(reason: LossReason): ConclaveError {
    return this.kind.lost(`${this.kind.what} is lost: ${reason}`, reason);
  }

  private tell(validity: Validity): void {
    if (this.over === undefined) this.validity.next(validity);
  }

  private stopListening(): void {
    this.context.open.delete(this);
    this.watchTimer?.cancel();
    for (const subscription of this.subscriptions) subscription.unsubscribe();
  }
}
