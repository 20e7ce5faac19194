import { type Buffer } from 'node:buffer';
import { ProtocolError } from '@conclave/protocol';
import type { ApplyResult } from '../apply/apply-result.js';
import { CommandKind, encodeCommand, type Proposer, renumberCommand } from '../apply/command.js';
import { confChangeOf, type MembershipCommand } from '../apply/membership.js';
import type { Clock } from '../platform/clock.js';
import { encodeConfChange } from '../raft/confchange/conf-change.js';
import type { Entry } from '../raft/message.js';
import type { RawNode } from '../raft/raw-node.js';
import { LeaderLink } from './leader-link.js';
import { type MembershipChange, MembershipChanges } from './membership-changes.js';
import { type Proposal, Proposals, type ProposalDone } from './proposals.js';

export interface SubmissionParts {
  readonly raft: RawNode;
  readonly proposer: Proposer;
  readonly clock: Clock;
  /** There is work for the next turn. */
  readonly wake: () => void;
}

export interface SubmissionLimits {
  /** After this a request without an outcome is answered "timed out": 5 s and two election timeouts. */
  readonly requestTimeoutMs: number;
  /** How long a question to the leader waits while there is none. */
  readonly leaderlessMs: number;
  /** Bytes of proposals that may wait; more are refused as "too many requests". */
  readonly proposalBytesMax: number;
}

/**
 * The way of every proposal of this member, from the request to the result of its entry: into the own log on the leader,
 * to the leader from others, and again when it is certain that it was lost.
 *
 * Invariant: a proposal is in exactly one of `proposals`, `changes` and `link.forwarding` until it is answered.
 */
export class Submissions {
  readonly link: LeaderLink;
  /** The store cannot keep up with what is applied: nothing new is taken but alarms. */
  isBehind = false;
  /** Proposals that came to nothing since the start. */
  failed = 0;
  private readonly proposals = new Proposals();
  private readonly changes: MembershipChanges;
  private sequence = 0;

  constructor(
    private readonly parts: SubmissionParts,
    private readonly limits: SubmissionLimits,
  ) {
    const { raft, proposer, clock, wake } = parts;
    this.changes = new MembershipChanges((change) => this.proposeNow(change));
    this.link = new LeaderLink(
      {
        proposer,
        recoveredTerm: raft.status().term,
        now: () => clock.now(),
        propose: (command) => raft.propose(command),
        resubmit: () => this.resubmit(),
        nextSequence: () => ++this.sequence,
        isBehind: () => this.isBehind,
        wake,
      },
      limits,
    );
  }

  get count(): number {
    return this.proposals.count + this.link.forwarding.count;
  }

  get bytes(): number {
    return this.proposals.bytes + this.link.forwarding.bytes;
  }

  propose(kind: CommandKind, payload: Uint8Array, done: ProposalDone): void {
    if ((this.isBehind && kind !== CommandKind.Alarm) || this.bytes > this.limits.proposalBytesMax) {
      this.failed++;
      return done(ProtocolError.of('RequestTooManyRequests'), undefined);
    }
    this.submit(this.encode(kind, payload), this.deadline(), done, false);
  }

  proposeAsLeader(kind: CommandKind, payload: Uint8Array, done: ProposalDone): void {
    this.submit(this.encode(kind, payload), this.deadline(), done, true);
  }

  proposeChange(command: MembershipCommand, done: ProposalDone): void {
    this.changes.submit({ command, deadline: this.deadline(), done });
  }

  /** The entry was applied. */
  settle(entry: Entry, result: ApplyResult): void {
    this.proposals.settle(entry.index, entry.term, result);
    const { forwarding } = this.link;
    if (forwarding.hasSent) forwarding.settle(entry.data, result);
  }

  /** The next entry is the first of a later term: behind it there is none of an earlier one. */
  termBegins(term: number): void {
    for (const lost of this.proposals.takeLost(term)) this.proposeAgain(lost);
    this.link.forwarding.retakeLost(term, () => ++this.sequence);
    this.resubmit();
  }

  /** This member ceased to lead: no change of the members that waits was begun. */
  abandonChanges(): void {
    this.changes.failAll(ProtocolError.of('NotLeader'));
  }

  tick(): void {
    const now = this.parts.clock.now();
    this.changes.expire(now);
    this.failed += this.proposals.expire(now) + this.link.tick();
    this.changes.retry();
  }

  /** A state was installed in place of entries: whether they held what was proposed before is not known. */
  forgetProposed(): void {
    const error = ProtocolError.of('Timeout');
    this.failed += this.proposals.count;
    this.proposals.failAll(error);
    this.link.forwarding.failSent(error);
  }

  failAll(error: ProtocolError): void {
    this.proposals.failAll(error);
    this.changes.failAll(error);
    this.link.fail(error);
  }

  private encode(kind: CommandKind, payload: Uint8Array): Buffer {
    return encodeCommand(kind, this.parts.proposer, ++this.sequence, payload);
  }

  private deadline(): number {
    return this.parts.clock.now() + this.limits.requestTimeoutMs;
  }

  private submit(command: Uint8Array, deadline: number, done: ProposalDone, isForThisTerm: boolean): void {
    const outcome = this.parts.raft.propose(command);
    if (outcome.dropped === undefined) {
      const { index, term } = outcome;
      const lost = this.proposals.add(index, term, command, deadline, done, isForThisTerm);
      if (lost !== undefined) this.proposeAgain(lost);
      return this.parts.wake();
    }
    if (!isForThisTerm && outcome.dropped !== 'too-many-uncommitted') {
      return this.link.forward({ command, deadline, done, isForThisTerm });
    }
    this.failed++;
    done(ProtocolError.of(isForThisTerm ? 'LeaderChanged' : 'RequestTooManyRequests'), undefined);
  }

  /** Proposes what is held; what cannot be proposed yet is held again. */
  private resubmit(): void {
    const { forwarding } = this.link;
    if (!forwarding.hasHeld) return;
    for (const { command, deadline, done, isForThisTerm } of forwarding.takeHeld()) {
      this.submit(command, deadline, done, isForThisTerm);
    }
  }

  /** It is certain that the proposal is in no log any more. */
  private proposeAgain(lost: Proposal): void {
    if (lost.isForThisTerm) return lost.done(ProtocolError.of('LeaderChanged'), undefined);
    this.link.forwarding.hold({ ...lost, command: renumberCommand(lost.command, ++this.sequence) });
  }

  private proposeNow({ command, deadline, done }: MembershipChange): boolean {
    const change = confChangeOf(command, (kind, payload) => this.encode(kind, payload));
    const data = encodeConfChange(change);
    const outcome = this.parts.raft.propose(data, 'config');
    if (outcome.dropped !== undefined) return false;
    this.proposals.add(outcome.index, outcome.term, data, deadline, done, true);
    this.parts.wake();
    return true;
  }
}
