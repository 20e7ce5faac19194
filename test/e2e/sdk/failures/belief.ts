import { type Held, type LossReason } from '@conclave/client';
import { monotonicMs, onMachineClock } from '../../../robustness/mutual-exclusion/monotonic.js';

/** Until when a holder believed in what it holds, as its own events tell, on the clock of the machine. */
export class Belief {
  /** What was told, without repetitions. */
  readonly kinds: string[] = [];
  /** Resolves with the reason when it is lost. */
  readonly lost: Promise<LossReason>;
  private deadline = 0;
  private lostAt = Infinity;

  constructor(held: Held) {
    this.lost = new Promise((resolve) => {
      held.validity$.subscribe((validity) => {
        if (this.kinds.at(-1) !== validity.kind) this.kinds.push(validity.kind);
        if (validity.kind !== 'lost') {
          this.deadline = onMachineClock(validity.deadline);
          return;
        }
        this.lostAt = monotonicMs();
        resolve(validity.reason);
      });
    });
  }

  /** By the clock it believes no longer than the deadline; when told of a loss, no longer than that. */
  get until(): number {
    return Math.min(this.deadline, this.lostAt);
  }

  /** When it was told of the loss. */
  get toldAt(): number {
    return this.lostAt;
  }
}
