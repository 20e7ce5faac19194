import { ProtocolError } from '@conclave/protocol';
import type { ApplyResult } from '../apply/apply-result.js';
import { assert } from '../platform/assert.js';

/** Called exactly once: with an error when the outcome is unknown or the proposal was dropped, else with its result. */
export type ProposalDone = (error: ProtocolError | undefined, result: ApplyResult | undefined) => void;

/** A proposal without an outcome. */
export interface Proposal {
  readonly command: Uint8Array;
  /** It must not be proposed again by itself: it is meant for the term in which it was made. */
  readonly isForThisTerm: boolean;
  readonly deadline: number;
  readonly done: ProposalDone;
}

interface Pending extends Proposal {
  readonly index: number;
  readonly term: number;
}

const slotsMin = 64;

/**
 * The proposals of this member that are in its own log but not applied yet.
 *
 * They lie in a ring by index, because the indexes of those that wait are a short stretch of the log. A Map through which
 * entries pass at this rate abandons its table again and again; each abandoned table refers to the next, and once one of them
 * is old the young collector takes all that follow for live, with every proposal in them.
 *
 * Invariants: the number of slots is a power of two; a proposal lies in slot `index` modulo that number; `count` is the
 * number of slots that are taken.
 */
export class Proposals {
  private slots = freeSlots(slotsMin);
  private waiting = 0;
  private bytesHeld = 0;

  get count(): number {
    return this.waiting;
  }

  /** Bytes of the commands that wait. */
  get bytes(): number {
    return this.bytesHeld;
  }

  /** An older proposal at this index is returned: a new leader's entry replaces it, so that it is lost for good. */
  add(
    index: number,
    term: number,
    command: Uint8Array,
    deadline: number,
    done: ProposalDone,
    isForThisTerm: boolean,
  ): Proposal | undefined {
    const overwritten = this.get(index);
    if (overwritten !== undefined) {
      if (overwritten.term >= term) assert(false, `two proposals at index ${index} in term ${term}`);
      this.remove(overwritten);
    }
    while (this.slots[this.slotOf(index)] !== undefined) this.grow();
    this.slots[this.slotOf(index)] = { index, term, command, isForThisTerm, deadline, done };
    this.waiting++;
    this.bytesHeld += command.length;
    return overwritten;
  }

  /** The entry at `index` was applied; whoever proposed it learns the result. */
  settle(index: number, term: number, result: ApplyResult): void {
    const proposal = this.get(index);
    if (proposal === undefined || proposal.term !== term) return;
    this.remove(proposal);
    proposal.done(result.error, result);
  }

  /**
   * An entry of `term` is applied next. Terms never decrease along the log, so proposals of earlier terms that are not
   * applied yet never will be: they are taken out and returned.
   */
  takeLost(term: number): Proposal[] {
    const lost = this.all().filter((proposal) => proposal.term < term);
    for (const proposal of lost) this.remove(proposal);
    return lost;
  }

  /** Gives up on proposals whose deadline passed: their outcome is unknown. */
  expire(nowMs: number): number {
    if (this.waiting === 0) return 0;
    const expired = this.all().filter((proposal) => proposal.deadline <= nowMs);
    for (const proposal of expired) {
      this.remove(proposal);
      proposal.done(ProtocolError.of('Timeout'), undefined);
    }
    return expired.length;
  }

  failAll(error: ProtocolError): void {
    const all = this.all();
    this.slots = freeSlots(slotsMin);
    this.waiting = 0;
    this.bytesHeld = 0;
    for (const proposal of all) proposal.done(error, undefined);
  }

  /** Those that wait, in the order of the log. */
  private all(): Pending[] {
    return this.slots.filter((proposal) => proposal !== undefined).sort((a, b) => a.index - b.index);
  }

  private get(index: number): Pending | undefined {
    const proposal = this.slots[this.slotOf(index)];
    return proposal?.index === index ? proposal : undefined;
  }

  private slotOf(index: number): number {
    return index & (this.slots.length - 1);
  }

  private remove(proposal: Pending): void {
    this.slots[this.slotOf(proposal.index)] = undefined;
    this.waiting--;
    this.bytesHeld -= proposal.command.length;
  }

  private grow(): void {
    const all = this.all();
    this.slots = freeSlots(this.slots.length * 2);
    for (const proposal of all) this.slots[this.slotOf(proposal.index)] = proposal;
  }
}

function freeSlots(count: number): (Pending | undefined)[] {
  return new Array<Pending | undefined>(count).fill(undefined);
}
