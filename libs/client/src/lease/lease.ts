import { type etcdserverpb as pb } from '@conclave/protocol';
import { type Observable, ReplaySubject, type Subscription } from 'rxjs';
import { LeaseExpiredError, type LossReason } from '../errors.js';
import { type KvStore, type RequestStream } from '../kv-store.js';
import { type LeaseId } from '../kv/entry.js';
import { type Clock, type Timer } from '../runtime.js';
import { type LeaseTerm, type Stamp, stampOf } from './lease-term.js';

/** `deadline`: milliseconds on the client's monotonic clock; nothing must be believed from then on. */
export type LeaseState =
  | { readonly kind: 'alive'; readonly deadline: number }
  /** An answer is overdue or the stream was lost; the lease is good until the deadline all the same. */
  | { readonly kind: 'suspect'; readonly deadline: number }
  | { readonly kind: 'lost'; readonly reason: LossReason };

/** After a lost stream the next attempt comes after so many milliseconds, or TTL/6 when that is less. */
const retryMs = 500;

/** What a lease tells its owner. */
export interface LeaseEvents {
  ended(lease: Lease): void;
  /** A keep-alive is sent, so many milliseconds after it was due. */
  sent(delayMs: number): void;
  /** A keep-alive is sent so many milliseconds late, TTL/6 at least: the event loop was blocked. */
  starved(delayMs: number): void;
}

/**
 * A lease that is kept alive: a request every TTL/3, on a stream of its own.
 *
 * Invariants: once lost it stays lost, whatever the network says later; at most one request is unanswered per stream;
 * `timer` is set exactly while the lease is not lost; it fires no later than the term ends.
 */
export class Lease implements AsyncDisposable {
  private readonly states = new ReplaySubject<LeaseState>(1);
  /** Replays the newest; completes after `lost`. */
  readonly state$: Observable<LeaseState> = this.states.asObservable();
  private loss: LossReason | undefined;
  private readonly abort = new AbortController();
  /** Aborts with a LeaseExpiredError when the lease is lost. By timer: check {@link isAlive} before side effects. */
  readonly signal: AbortSignal = this.abort.signal;
  private readonly replaced: Subscription;
  private stream: RequestStream<pb.LeaseKeepAliveRequest> | undefined;
  private unanswered: Stamp | undefined;
  private timer: Timer | undefined;
  private beatAt = 0;
  /** When the timer is to fire: the next request, or the end of the term if that is sooner. */
  private dueAt = 0;
  private holders = 0;
  private revoking: Promise<void> | undefined;

  constructor(
    private readonly store: KvStore,
    private readonly clock: Clock,
    readonly id: LeaseId,
    private readonly term: LeaseTerm,
    private readonly events: LeaseEvents,
  ) {
    this.states.next({ kind: 'alive', deadline: term.deadline() });
    this.replaced = store.replaced$.subscribe(() => this.lose('store-replaced'));
    this.wake(this.intervalMs());
  }

  /** The TTL that the server granted, in milliseconds. */
  get ttlMs(): number {
    return this.term.grantedMs;
  }

  /** Milliseconds for which the lease may be believed in, by the clock and not by a timer; 0 when lost. */
  remainingMs(): number {
    return this.isAlive() ? this.term.remainingMs() : 0;
  }

  /** By the clock, so it is right even when a stall has kept every timer from firing. */
  isAlive(): boolean {
    if (this.loss !== undefined) return false;
    const reason = this.term.over();
    if (reason === undefined) return true;
    this.lose(reason);
    return false;
  }

  /** Why it was lost, or undefined while it was not. */
  get lossReason(): LossReason | undefined {
    return this.loss;
  }

  /** While it has holders, the lease alone keeps the process running. */
  hold(): void {
    this.holders += 1;
    if (this.holders > 1 || this.loss !== undefined) return;
    // A fresh request for a fresh holder, unless one is under way: then only the timer changes its kind.
    this.wake(this.unanswered === undefined ? 0 : Math.max(0, this.beatAt - this.clock.monotonic()));
  }

  unhold(): void {
    this.holders -= 1;
  }

  /** The server said that the lease does not exist, in answer to some other request. */
  notFound(): void {
    if (this.isAlive()) this.lose('lease-expired-server');
  }

  /**
   * Gives the lease back; the store deletes every key that is bound to it. Idempotent. Never rejects: when no member can
   * be reached before the deadline, the TTL does it.
   */
  revoke(): Promise<void> {
    this.revoking ??= this.sendRevoke();
    return this.revoking;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.revoke();
  }

  private async sendRevoke(): Promise<void> {
    const timeoutMs = this.remainingMs();
    const mayExist = this.lossReason === undefined || this.lossReason === 'clock-jump';
    this.lose('closed');
    if (!mayExist) return;
    await this.store
      .leaseRevoke({ ID: this.id }, { timeoutMs: Math.max(1, timeoutMs) })
      .catch(() => undefined);
  }

  private intervalMs(): number {
    return this.term.grantedMs / 3;
  }

  private wake(delayMs: number): void {
    this.timer?.cancel();
    this.beatAt = this.clock.monotonic() + delayMs;
    const waitMs = Math.min(delayMs, Math.max(0, this.term.remainingMs()));
    this.dueAt = this.clock.monotonic() + waitMs;
    this.timer = this.clock.setTimer(waitMs, () => this.beat(), this.holders > 0);
  }

  private beat(): void {
    const lateMs = this.clock.monotonic() - this.dueAt;
    if (lateMs > this.term.grantedMs / 6) this.events.starved(lateMs);
    if (!this.isAlive()) return;
    if (this.unanswered !== undefined) {
      this.suspect();
      this.stream?.cancel('stalled');
      this.stream = undefined;
    }
    this.stream ??= this.open();
    this.unanswered = stampOf(this.clock);
    this.stream.send({ ID: this.id });
    this.events.sent(lateMs);
    this.wake(this.intervalMs());
  }

  private open(): RequestStream<pb.LeaseKeepAliveRequest> {
    const stream: RequestStream<pb.LeaseKeepAliveRequest> = this.store.leaseKeepAlive({
      next: (answer) => {
        if (stream === this.stream) this.onAnswer(answer);
      },
      error: () => {
        if (stream === this.stream) this.onStreamLost();
      },
    });
    return stream;
  }

  private onAnswer(answer: pb.LeaseKeepAliveResponse): void {
    if (answer.ID !== this.id || this.unanswered === undefined) return;
    // After a stall this may run before the timer that ends the term: too late is too late.
    if (!this.isAlive()) return;
    // A server never lets a lease expire before this process stops believing in it: somebody revoked it.
    if (answer.TTL <= 0n) return this.lose('revoked');
    this.term.renew(this.unanswered, Number(answer.TTL) * 1_000);
    this.unanswered = undefined;
    this.states.next({ kind: 'alive', deadline: this.term.deadline() });
  }

  private onStreamLost(): void {
    this.stream = undefined;
    this.unanswered = undefined;
    if (!this.isAlive()) return;
    this.suspect();
    this.wake(Math.min(retryMs, this.term.grantedMs / 6));
  }

  private suspect(): void {
    this.states.next({ kind: 'suspect', deadline: this.term.deadline() });
  }

  private lose(reason: LossReason): void {
    if (this.loss !== undefined) return;
    this.loss = reason;
    this.timer?.cancel();
    this.stream?.cancel();
    this.stream = undefined;
    this.replaced.unsubscribe();
    this.states.next({ kind: 'lost', reason });
    this.states.complete();
    this.abort.abort(new LeaseExpiredError(`lease ${this.id.toString(16)} is lost: ${reason}`, reason));
    this.events.ended(this);
  }
}
