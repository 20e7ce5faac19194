import { ProtocolError } from '@conclave/protocol';
import type { ApplyResult } from '../apply/apply-result.js';
import { commandHeaderBytes, type Proposer, renumberCommand, sequenceOf } from '../apply/command.js';
import { assert } from '../platform/assert.js';
import type { MemberId } from '../raft/message.js';
import type { ForwardedProposal, ProposalRefusal } from './peer-message.js';
import type { Proposal } from './proposals.js';

interface Sent extends Proposal {
  /** The term whose leader it was sent to: no other takes it. */
  readonly term: number;
}

/** The leader that this member knows. */
export interface KnownLeader {
  readonly leader: MemberId;
  readonly term: number;
}

/**
 * The proposals of a member that does not lead: those that it handed to the leader, and those that wait until there is
 * somebody to hand them to.
 *
 * A command travels once under its sequence. It is proposed again, under a new one, only when it is certain that the
 * former was not and never will be: the leader refused it, or an entry of a later term was applied here, behind which
 * the log has no more entries of the term that it was sent in. So it takes effect at most once, and a change of leader
 * costs time but no request.
 *
 * Invariant: `bytesHeld` is the length of all commands in `sent` and `held`.
 */
export class Forwarding {
  /** By sequence. */
  private readonly sent = new Map<number, Sent>();
  private held: Proposal[] = [];
  private bytesHeld = 0;

  constructor(private readonly proposer: Proposer) {}

  get count(): number {
    return this.sent.size + this.held.length;
  }

  get bytes(): number {
    return this.bytesHeld;
  }

  get hasHeld(): boolean {
    return this.held.length > 0;
  }

  get hasSent(): boolean {
    return this.sent.size > 0;
  }

  /** Keeps a proposal until `takeHeld`. */
  hold(proposal: Proposal): void {
    this.held.push(proposal);
    this.bytesHeld += proposal.command.length;
  }

  takeHeld(): readonly Proposal[] {
    const { held } = this;
    this.held = [];
    for (const { command } of held) this.bytesHeld -= command.length;
    return held;
  }

  /** The message that hands a command to the leader. Its outcome comes with `settle`, `refused` or `takeLost`. */
  send(
    { command, deadline, done, isForThisTerm }: Proposal,
    { leader, term }: KnownLeader,
  ): ForwardedProposal {
    const sequence = sequenceOf(command);
    assert(!this.sent.has(sequence), 'a command is sent once under its sequence');
    this.sent.set(sequence, { command, deadline, done, isForThisTerm, term });
    this.bytesHeld += command.length;
    return { kind: 'propose', from: this.proposer.member, to: leader, term, command };
  }

  /** An entry was applied; when it was one of these, its proposer learns the result. */
  settle(data: Uint8Array, result: ApplyResult): void {
    if (data.length < commandHeaderBytes || !this.proposer.made(data)) return;
    const sequence = sequenceOf(data);
    const proposal = this.sent.get(sequence);
    if (proposal === undefined) return;
    this.remove(sequence, proposal);
    proposal.done(result.error, result);
  }

  /** The leader did not propose it and never will. What may be proposed again is held, the rest fails. */
  refused({ boot, sequence, term, reason }: ProposalRefusal, newSequence: () => number): void {
    const proposal = this.sent.get(sequence);
    if (boot !== this.proposer.boot || proposal?.term !== term) return;
    this.remove(sequence, proposal);
    if (reason === 'too-many-uncommitted') {
      proposal.done(ProtocolError.of('RequestTooManyRequests'), undefined);
    } else {
      this.hold({ ...proposal, command: renumberCommand(proposal.command, newSequence()) });
    }
  }

  /** An entry of `term` is applied next: what was sent to leaders of earlier terms is lost, and held to be sent anew. */
  retakeLost(term: number, newSequence: () => number): void {
    for (const [sequence, proposal] of this.sent) {
      if (proposal.term >= term) continue;
      this.remove(sequence, proposal);
      this.hold({ ...proposal, command: renumberCommand(proposal.command, newSequence()) });
    }
  }

  /** Gives up on what is overdue and returns how many there were. The outcome of what was sent is unknown. */
  expire(nowMs: number): number {
    if (this.count === 0) return 0;
    const expired: Proposal[] = [];
    for (const [sequence, proposal] of this.sent) {
      if (proposal.deadline > nowMs) continue;
      this.remove(sequence, proposal);
      expired.push(proposal);
    }
    for (const proposal of this.takeHeld()) {
      if (proposal.deadline > nowMs) this.hold(proposal);
      else expired.push(proposal);
    }
    for (const { done } of expired) done(ProtocolError.of('Timeout'), undefined);
    return expired.length;
  }

  /** Nobody will learn what becomes of what was sent; what is held was never proposed. */
  failSent(error: ProtocolError): void {
    const all = [...this.sent.values()];
    for (const { command } of all) this.bytesHeld -= command.length;
    this.sent.clear();
    for (const { done } of all) done(error, undefined);
  }

  failAll(error: ProtocolError): void {
    this.failSent(error);
    for (const { done } of this.takeHeld()) done(error, undefined);
  }

  private remove(sequence: number, { command }: Sent): void {
    this.sent.delete(sequence);
    this.bytesHeld -= command.length;
  }
}
