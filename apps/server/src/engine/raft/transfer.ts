import { type MemberId } from './message.js';

/**
 * An attempt to hand leadership over (thesis 3.10): the heir is brought up to date, asked to campaign, and asked again
 * for as long as the attempt lasts, because the question can be lost. It ends with the leader's term, or after an
 * election timeout: then the heir is gone or too far behind, and the leader goes on.
 */
export class Transfer {
  readonly to: MemberId;
  #remainingTicks: number;
  #mustAsk = true;

  constructor(to: MemberId, electionTicks: number) {
    this.to = to;
    this.#remainingTicks = electionTicks;
  }

  /** Whether the heir, once it holds the whole log, is to be asked at the end of this turn. */
  get mustAsk(): boolean {
    return this.#mustAsk;
  }

  asked(): void {
    this.#mustAsk = false;
  }

  /** Returns true when the attempt is given up. */
  tick(): boolean {
    this.#remainingTicks -= 1;
    this.#mustAsk = true;
    return this.#remainingTicks <= 0;
  }
}
