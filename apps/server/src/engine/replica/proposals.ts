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
  readonly term: number;
}

/**
 * The proposals of this member that are in its own log but not applied yet.
 *
 * Invariant: deadlines ascend in the order in which proposals were added, so the oldest is the first in the map, except
 * that a proposal that was made again comes later than its deadline says.
 */
export class Proposals {
  private readonly pending = new Map<number, Pending>();
  private bytesHeld = 0;

  get count(): number {
    return this.pending.size;
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
    const overwritten = this.pending.get(index);
    if (overwritten !== undefined) {
      assert(overwritten.term < term, `two proposals at index ${index} in term ${term}`);
      this.remove(index, overwritten);
    }
    this.pending.set(index, { term, command, isForThisTerm, deadline, done });
    this.bytesHeld += command.length;
    return overwritten;
  }

  /** The entry at `index` was applied; whoever proposed it learns the result. */
  settle(index: number, term: number, result: ApplyResult): void {
    const proposal = this.pending.get(index);
    if (proposal === undefined || proposal.term !== term) return;
    this.remove(index, proposal);
    proposal.done(result.error, result);
  }

  /**
   * An entry of `term` is applied next. Terms never decrease along the log, so proposals of earlier terms that are not
   * applied yet never will be: they are taken out and returned.
   */
  takeLost(term: number): Proposal[] {
    const lost: Proposal[] = [];
    for (const [index, proposal] of this.pending) {
      if (proposal.term >= term) continue;
      this.remove(index, proposal);
      lost.push(proposal);
    }
    return lost;
  }

  /** Gives up on proposals whose deadline passed: their outcome is unknown. */
  expire(nowMs: number): number {
    let expired = 0;
    for (const [index, proposal] of this.pending) {
      if (proposal.deadline > nowMs) break;
      this.remove(index, proposal);
      expired++;
      proposal.done(ProtocolError.of('Timeout'), undefined);
    }
    return expired;
  }

  failAll(error: ProtocolError): void {
    const all = [...this.pending.values()];
    this.pending.clear();
    this.bytesHeld = 0;
    for (const proposal of all) proposal.done(error, undefined);
  }

  private remove(index: number, proposal: Pending): void {
    this.pending.delete(index);
    this.bytesHeld -= proposal.command.length;
  }
}
