import { ProtocolError } from '@conclave/protocol';
import type { MembershipCommand } from '../apply/membership.js';
import type { ProposalDone } from './proposals.js';

/** A change of the members that was asked for and is not in the log. */
export interface MembershipChange {
  readonly command: MembershipCommand;
  readonly deadline: number;
  readonly done: ProposalDone;
}

/**
 * Changes of the members that wait at the leader: one is under way at a time, and none before the leader has committed
 * an entry of its own term (thesis 4.1).
 */
export class MembershipChanges {
  private waiting: MembershipChange[] = [];

  /** `propose` puts a change into the log; false when it has to wait. */
  constructor(private readonly propose: (change: MembershipChange) => boolean) {}

  submit(change: MembershipChange): void {
    this.waiting.push(change);
    this.retry();
  }

  /** Something that they waited for may have happened. */
  retry(): void {
    while (this.waiting.length > 0 && this.propose(this.waiting[0])) this.waiting.shift();
  }

  expire(nowMs: number): void {
    const expired = this.waiting.filter(({ deadline }) => deadline <= nowMs);
    if (expired.length === 0) return;
    this.waiting = this.waiting.filter(({ deadline }) => deadline > nowMs);
    for (const { done } of expired) done(ProtocolError.of('Timeout'), undefined);
  }

  /** None of them was begun. */
  failAll(error: ProtocolError): void {
    const { waiting } = this;
    this.waiting = [];
    for (const { done } of waiting) done(error, undefined);
  }
}
