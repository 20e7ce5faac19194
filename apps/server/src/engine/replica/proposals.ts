import { ProtocolError } from '@conclave/protocol';
import type { ApplyResult } from '../apply/apply-result.js';
import { assert } from '../platform/assert.js';

/** Called exactly once: with an error when the outcome is unknown or the proposal was dropped, else with its result. */
export type ProposalDone = (error: ProtocolError | undefined, result: ApplyResult | undefined) => void;

interface Pending {
  readonly term: number;
  readonly bytes: number;
  readonly deadline: number;
  readonly done: ProposalDone;
}

/**
 * The proposals of this member that are in the log but not applied yet.
 *
 * Invariant: indexes are added in ascending order, so the oldest deadline is the first in the map. (A new leader may
 * overwrite an index: then the older proposal is settled as failed before the newer one is added.)
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

  add(index: number, term: number, bytes: number, deadline: number, done: ProposalDone): void {
    const overwritten = this.pending.get(index);
    if (overwritten !== undefined) {
      assert(overwritten.term < term, `two proposals at index ${index} in term ${term}`);
      this.remove(index, overwritten);
      overwritten.done(ProtocolError.of('LeaderChanged'), undefined);
    }
    this.pending.set(index, { term, bytes, deadline, done });
    this.bytesHeld += bytes;
  }

  /** The entry at `index` was applied; whoever proposed it learns the result. */
  settle(index: number, term: number, result: ApplyResult): void {
    const proposal = this.pending.get(index);
    if (proposal === undefined) return;
    this.remove(index, proposal);
    if (proposal.term === term) proposal.done(result.error, result);
    else proposal.done(ProtocolError.of('LeaderChanged'), undefined);
  }

  /** Gives up on proposals whose deadline passed: their outcome is unknown. */
  expire(nowMs: number): void {
    for (const [index, proposal] of this.pending) {
      if (proposal.deadline > nowMs) return;
      this.remove(index, proposal);
      proposal.done(ProtocolError.of('Timeout'), undefined);
    }
  }

  failAll(error: ProtocolError): void {
    const all = [...this.pending.values()];
    this.pending.clear();
    this.bytesHeld = 0;
    for (const proposal of all) proposal.done(error, undefined);
  }

  private remove(index: number, proposal: Pending): void {
    this.pending.delete(index);
    this.bytesHeld -= proposal.bytes;
  }
}
