import { LeadershipLostError, type LossReason } from '../errors.js';
import { type Value } from '../key-range.js';
import { type CallOptions } from '../kv-store.js';
import { op } from '../kv/operations.js';
import { type Claim } from './claim.js';
import { type ConcurrencyContext } from './context.js';
import { type FencingToken, Held, type HeldKind } from './held.js';

/** How a leadership speaks of itself. */
export class LeadershipKind implements HeldKind {
  readonly what: string;
  constructor(readonly name: string) {
    this.what = `leadership of '${name}'`;
  }
  lost(message: string, reason: LossReason): LeadershipLostError {
    return new LeadershipLostError(message, reason);
  }
}

/** A leadership that is held. `await using` resigns it. */
export class Leadership extends Held {
  private settle: (how: LossReason | 'resigned') => void = () => undefined;

  /** Resolves once, when the leadership is over, with the reason. Never rejects. */
  readonly done: Promise<LossReason | 'resigned'> = new Promise((resolve) => {
    this.settle = resolve;
  });

  constructor(context: ConcurrencyContext, claim: Claim, kind: LeadershipKind, onOver: () => void) {
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

  /** Gives the leadership to the next candidate. Idempotent; never rejects. */
  resign(): Promise<void> {
    return this.giveBack();
  }

  protected override ended(how: 'released' | LossReason): void {
    this.settle(how === 'released' ? 'resigned' : how);
  }
}
