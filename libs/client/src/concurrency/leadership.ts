import { settledWithin } from '../cancellation.js';
import { type Duration, durationMs } from '../duration.js';
import { CancelledError, InvalidArgumentError, LeadershipLostError, type LossReason } from '../errors.js';
import { type Value } from '../key-range.js';
import { type CallOptions } from '../kv-store.js';
import { type LeaseId } from '../kv/entry.js';
import { op } from '../kv/operations.js';
import { type Claim } from './claim.js';
import { type ConcurrencyContext } from './context.js';
import { type FencingToken } from './fence.js';
import { Held, type HeldKind } from './held.js';
import { readQueue } from './queue-entries.js';

/** How a leadership speaks of itself. */
export class LeadershipKind implements HeldKind {
  readonly type = 'leadership';
  readonly watchAfterMs = 0;
  readonly what: string;
  constructor(readonly name: string) {
    this.what = `leadership of '${name}'`;
  }
  lost(message: string, reason: LossReason): LeadershipLostError {
    return new LeadershipLostError(message, reason);
  }
}

export interface ResignOptions {
  /**
   * Resign in favour of this candidate: its key or its value, as `candidates()` gives them. Candidates between stand back
   * once. Best effort: candidates of other programs know nothing of it, and the queue decides then.
   */
  readonly to?: string;
  /** How long work given to `waitUntil` may take to come to its end; default 5 s, and never beyond the local deadline. */
  readonly drain?: Duration;
}

/** A leadership that a restarted process takes up again, as long as its lease lives. */
export interface LeadershipRecord {
  readonly leaseId: LeaseId;
  readonly key: string;
  readonly token: FencingToken;
}

/**
 * A leadership that is held. `await using` resigns it.
 *
 * Invariant: `stop` is aborted from the moment on at which it resigns or is lost, and `done` is settled after that.
 */
export class Leadership extends Held {
  private settle: (how: LossReason | 'resigned') => void = () => undefined;
  private readonly stop = new AbortController();
  private readonly work = new Set<Promise<unknown>>();
  private resigning: Promise<void> | undefined;

  /**
   * Resolves once, when the leadership is over, with the reason: `closed` when the client closed or a drain was cut off.
   * Never rejects.
   */
  readonly done: Promise<LossReason | 'resigned'> = new Promise((resolve) => {
    this.settle = resolve;
  });

  /**
   * Aborts when it is time to come to an end: it resigns, which waits for the work of {@link waitUntil}, or is lost. While
   * it drains it is still held, so the last writes may be guarded; `signal` aborts only when it is certain no more.
   */
  readonly stopping: AbortSignal = this.stop.signal;

  constructor(
    context: ConcurrencyContext,
    claim: Claim,
    private readonly election: { readonly prefix: string; readonly cession?: string },
    kind: LeadershipKind,
    onOver: () => void,
  ) {
    super(context, claim, kind, onOver);
  }

  /** The fencing token under the name that people know from consensus: later leaders have higher terms. */
  get term(): FencingToken {
    return this.token;
  }

  /**
   * Replaces the value that observers see. Setting the same value twice does no harm, so a lost answer may be answered
   * by calling it again.
   *
   * @throws FencedOffError (rejects) when somebody else leads; MaybeAppliedError when the answer was lost.
   */
  async proclaim(value: Value, options?: CallOptions): Promise<void> {
    await this.guardOwn((txn) => txn.do(op.put(this.claim.key, value, { lease: this.leaseId })), options);
  }

  /** Resigning waits for this work to settle, within its limits. */
  waitUntil(work: Promise<unknown>): void {
    const settled: Promise<unknown> = work.then(
      () => this.work.delete(settled),
      () => this.work.delete(settled),
    );
    this.work.add(settled);
  }

  /**
   * Lets the work end, then gives the leadership to the next candidate. The work may take as long as `drain` says, at most
   * until the deadline that stands when this begins: then `signal` aborts and the leadership goes all the same. Idempotent,
   * the first call decides.
   *
   * @throws InvalidArgumentError (rejects) for a drain that is no duration; never for anything else.
   */
  async resign(options: ResignOptions = {}): Promise<void> {
    const drainMs = durationMs(options.drain ?? '5s', 'drain');
    this.resigning ??= this.drainAndGo(drainMs, options.to);
    return this.resigning;
  }

  /**
   * For {@link Election.resume} after a restart; keep it where only this instance reads it.
   *
   * @throws InvalidArgumentError when the election has no session of its own: resuming the client's shared one would
   *   bring back everything else that the former process held.
   */
  record(): LeadershipRecord {
    if (this.claim.session.isShared) {
      throw new InvalidArgumentError(
        'record: the leadership is bound to the shared session of the client; give the election one of its own, of locks.session()',
      );
    }
    return { leaseId: this.leaseId, key: this.key, token: this.token };
  }

  /** Ends it because the client closes; work of {@link waitUntil} may come to its end before. */
  override close(): Promise<void> {
    return this.work.size > 0 ? this.resign() : super.close();
  }

  override [Symbol.asyncDispose](): Promise<void> {
    return this.resign();
  }

  private async drainAndGo(drainMs: number, to: string | undefined): Promise<void> {
    const limitMs = Math.min(drainMs, this.remainingMs());
    this.end(new CancelledError(`${this.key} resigns`));
    if (this.work.size > 0 && this.isHeld()) {
      const settled = Promise.all(this.work);
      const over = this.done;
      await settledWithin(this.context.clock, limitMs, Promise.race([settled, over]));
      if (this.work.size > 0) return super.close();
    }
    if (to !== undefined && this.isHeld()) await this.cede(to).catch(() => undefined);
    await this.giveBack();
  }

  /** Names the candidate by its place in the queue, bound to its lease, so that it means nothing once that is gone. */
  private async cede(to: string): Promise<void> {
    const { prefix, cession } = this.election;
    const timeoutMs = Math.max(1, this.remainingMs());
    const candidates = await readQueue(this.context.kv, prefix, { timeoutMs });
    const heir = candidates.find(({ key, text }) => key !== this.key && (key === to || text === to));
    if (heir === undefined || cession === undefined) return;
    const told = op.put(cession, String(heir.token), { lease: heir.leaseId });
    await this.guardOwn((txn) => txn.do(told), { timeoutMs });
  }

  protected override ended(how: 'released' | LossReason): void {
    this.end(this.signal.aborted ? this.signal.reason : new CancelledError(`${this.key} resigned`));
    this.settle(how === 'released' ? 'resigned' : how);
  }

  private end(reason: unknown): void {
    if (!this.stop.signal.aborted) this.stop.abort(reason);
  }
}
