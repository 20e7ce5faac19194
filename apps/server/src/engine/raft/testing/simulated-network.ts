import { type MemberId, type Message } from '../message.js';
import { type SeededRandom } from './seeded-random.js';
import { type SimulatedMember } from './simulated-member.js';

/** A state on its way to a member. */
export type StateTransfer = ReturnType<SimulatedMember['capture']> & { readonly senderLife: number };

/** Messages and states on their way: lost, repeated and reordered as the seed says, except between cut-off members. */
export class SimulatedNetwork {
  readonly #random: SeededRandom;
  readonly #isOrdered: boolean;
  readonly #lossOneIn: number;
  readonly #messages: Message[] = [];
  readonly #states: StateTransfer[] = [];
  readonly #cut = new Set<MemberId>();

  constructor(random: SeededRandom) {
    this.#random = random;
    this.#isOrdered = random.oneIn(2);
    this.#lossOneIn = random.pick([5, 20, 100]);
  }

  cut(member: MemberId): void {
    this.#cut.add(member);
  }

  heal(): void {
    this.#cut.clear();
  }

  isCut(member: MemberId): boolean {
    return this.#cut.has(member);
  }

  send(from: MemberId, messages: readonly Message[]): void {
    if (!this.#cut.has(from)) this.#messages.push(...messages);
  }

  sendState(transfer: StateTransfer): void {
    this.#states.push(transfer);
  }

  /** The next message that arrives, or undefined when it is lost or there is none. */
  take(): Message | undefined {
    if (this.#messages.length === 0) return undefined;
    const at = this.#isOrdered ? 0 : this.#random.below(this.#messages.length);
    const message = this.#messages[at]!;
    const isRepeated = this.#random.oneIn(20);
    if (!isRepeated || this.#isOrdered) this.#messages.splice(at, 1);
    return this.#random.oneIn(this.#lossOneIn) ? undefined : message;
  }

  /** Some state of those on their way, and whether it stays there, to arrive again. */
  takeState(): StateTransfer | undefined {
    if (this.#states.length === 0) return undefined;
    const at = this.#random.below(this.#states.length);
    return this.#random.oneIn(6) ? this.#states[at] : this.#states.splice(at, 1)[0];
  }

  /** Everything that is on its way, in order. */
  drain(): { messages: Message[]; states: StateTransfer[] } {
    return { messages: this.#messages.splice(0), states: this.#states.splice(0) };
  }
}
