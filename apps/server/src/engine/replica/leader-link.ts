import { ProtocolError } from '@conclave/protocol';
import { CommandKind, decodeCommand, isAlarm, type Proposer } from '../apply/command.js';
import { assert } from '../platform/assert.js';
import type { MemberId } from '../raft/message.js';
import type { ProposeResult, RoleChange } from '../raft/raw-node.js';
import { ForwardWindow } from './forward-window.js';
import { Forwarding, type KnownLeader } from './forwarding.js';
import type {
  ForwardedProposal,
  PeerMessage,
  ProposalRefusal,
  Query,
  QueryMethod,
  QueryReply,
} from './peer-message.js';
import { Queries, type QueryDone } from './queries.js';

/** What the link asks of its member. */
export interface LinkHost {
  readonly proposer: Proposer;
  /** The term in which the member was started. */
  readonly recoveredTerm: number;
  readonly now: () => number;
  /** Appends a command that another member forwarded to the log. */
  readonly propose: (command: Uint8Array) => ProposeResult;
  /** Proposes what waited until now, under its own deadline. */
  readonly resubmit: () => void;
  readonly nextSequence: () => number;
  /** There is something to send: a turn is due. */
  readonly wake: () => void;
  /** Whether this member takes no more work: its store cannot keep up. */
  readonly isBehind: () => boolean;
}

export interface LinkLimits {
  readonly requestTimeoutMs: number;
  /** How long a question waits while there is no leader. */
  readonly leaderlessMs: number;
}

/** Answers a question as leader; the body is what follows the header in the answer. */
export type Answerer = (method: QueryMethod, payload: Uint8Array, reply: QueryDone) => void;

/**
 * What goes between a leader and the members that follow it beside raft: proposals that are handed over, and questions.
 * The follower's half is in {@link Forwarding} and {@link Queries}; this is the leader's half and the way between them.
 *
 * Invariants: a leader takes a message only when it was meant for it in its own term, and each (member, boot, number)
 * once in that term; what it refuses it never takes later.
 */
export class LeaderLink {
  readonly forwarding: Forwarding;
  readonly queries: Queries;
  onQuery: Answerer | undefined;
  private readonly proposals = new ForwardWindow();
  private readonly changes = new ForwardWindow();
  private outgoing: PeerMessage[] = [];
  private known: KnownLeader = { leader: 0n, term: 0 };

  constructor(
    private readonly host: LinkHost,
    limits: LinkLimits,
  ) {
    const { proposer } = host;
    this.forwarding = new Forwarding(proposer);
    this.queries = new Queries(
      proposer.member,
      proposer.boot,
      { timeoutMs: limits.requestTimeoutMs, leaderlessMs: limits.leaderlessMs },
      (query) => this.push(query),
    );
  }

  get hasOutgoing(): boolean {
    return this.outgoing.length > 0;
  }

  /** Whether somebody else leads, as far as this member knows. */
  get hasOtherLeader(): boolean {
    return this.known.leader !== 0n && !this.leads;
  }

  takeOutgoing(): readonly PeerMessage[] {
    const { outgoing } = this;
    this.outgoing = [];
    return outgoing;
  }

  roleChanged({ leader, term }: RoleChange): void {
    if (term !== this.known.term) {
      this.proposals.clear();
      this.changes.clear();
    }
    this.known = { leader, term };
    if (this.leads) this.answerOwn();
    else this.queries.leaderChanged(this.known, this.host.now());
    if (leader !== 0n && this.forwarding.hasHeld) this.host.resubmit();
  }

  tick(): number {
    const now = this.host.now();
    const expired = this.forwarding.expire(now);
    if (this.forwarding.hasHeld && this.known.leader !== 0n) this.host.resubmit();
    this.queries.tick(this.known, now);
    if (this.leads && this.queries.count > 0) this.answerOwn();
    return expired;
  }

  /** Hands a proposal to the leader, or keeps it until there is one. */
  forward(proposal: Parameters<Forwarding['hold']>[0]): void {
    if (this.hasOtherLeader) this.push(this.forwarding.send(proposal, this.known));
    else this.forwarding.hold(proposal);
  }

  /** Asks whoever leads; this member answers itself when it is the one. */
  ask(method: QueryMethod, payload: Uint8Array, done: QueryDone): void {
    const elsewhere = (): void => this.queries.ask(method, payload, this.known, this.host.now(), done);
    if (!this.leads) return elsewhere();
    this.answer(method, payload, (error, body) => {
      // It ceased to lead before anything came of it.
      if (error?.reason === 'NotLeader') elsewhere();
      else done(error, body);
    });
  }

  receive(message: ForwardedProposal | ProposalRefusal | Query | QueryReply): void {
    switch (message.kind) {
      case 'propose':
        return this.takeProposal(message);
      case 'propose-refused':
        this.forwarding.refused(message, this.host.nextSequence);
        // A refusal of a former leader: its successor is known, and need not wait for the next tick.
        if (message.term < this.known.term && this.known.leader !== 0n) this.host.resubmit();
        return;
      case 'query':
        return this.takeQuery(message);
      case 'query-reply':
        this.queries.answered(message, this.known, this.host.now());
        if (this.leads && this.queries.count > 0) this.answerOwn();
        return;
    }
  }

  fail(error: ProtocolError): void {
    this.forwarding.failAll(error);
    this.queries.failAll(error);
  }

  /** Answers what this member asked others for while it did not lead. */
  private answerOwn(): void {
    for (const { method, payload, done } of this.queries.takeWaiting(this.host.now()))
      this.ask(method, payload, done);
  }

  private push(message: PeerMessage): void {
    this.outgoing.push(message);
    this.host.wake();
  }

  private get leads(): boolean {
    return this.known.leader === this.host.proposer.member;
  }

  /**
   * Whether this member knows all that it was handed in that term. Of other terms, and of the one in which it was
   * started, it cannot say that it took nothing, so it says nothing.
   */
  private isWatched(term: number): boolean {
    return term === this.known.term && term > this.host.recoveredTerm;
  }

  private takeProposal({ from, term, command }: ForwardedProposal): void {
    const identity = forwardable(command, from);
    if (identity === undefined) return;
    const { boot, sequence } = identity;
    const refuse = (reason: ProposalRefusal['reason']): void => {
      const { member } = this.host.proposer;
      this.push({ kind: 'propose-refused', from: member, to: from, term, boot, sequence, reason });
    };
    if (!this.isWatched(term) || !this.proposals.take(from, boot, sequence)) return;
    if (!this.leads) return refuse('not-leader');
    if (this.host.isBehind() && !isAlarm(command)) return refuse('too-many-uncommitted');
    const outcome = this.host.propose(command);
    if (outcome.dropped === undefined)
      assert(outcome.term === term, 'a command is taken in the term it was meant for');
    else refuse(refusalOf(outcome.dropped));
  }

  private takeQuery({ from, term, request, boot, method, payload }: Query): void {
    const reply: QueryDone = (error, body) => {
      const { member } = this.host.proposer;
      const name = error === undefined ? undefined : (error.reason ?? 'NotLeader');
      const answer = {
        kind: 'query-reply',
        from: member,
        to: from,
        term,
        request,
        boot,
        error: name,
      } as const;
      this.push({ ...answer, payload: body ?? new Uint8Array(0) });
    };
    const isChange = method !== 'lease-keep-alive' && method !== 'lease-time-to-live';
    if (isChange && !(this.isWatched(term) && this.changes.take(from, boot, request))) return;
    if (!this.leads || term !== this.known.term) return reply(ProtocolError.of('NotLeader'), undefined);
    this.answer(method, payload, reply);
  }

  private answer(method: QueryMethod, payload: Uint8Array, reply: QueryDone): void {
    assert(this.onQuery !== undefined, 'somebody answers questions to the leader');
    this.onQuery(method, payload, reply);
  }
}

/** Who made the command; undefined when a member must not hand it over: it is damaged, not its own, or not for others. */
function forwardable(command: Uint8Array, from: MemberId): { boot: bigint; sequence: number } | undefined {
  try {
    const { kind, member, boot, sequence } = decodeCommand(command);
    return member === from && !isLeadersOwn(kind) ? { boot, sequence } : undefined;
  } catch {
    return undefined;
  }
}

/** What only the leader itself may propose: it speaks of its own clocks and of whom it hears. */
function isLeadersOwn(kind: CommandKind): boolean {
  switch (kind) {
    case CommandKind.LeaseExpire:
    case CommandKind.LeaseCheckpoint:
    case CommandKind.MemberAdd:
    case CommandKind.MemberRemove:
    case CommandKind.MemberPromote:
    case CommandKind.MembersChange:
      return true;
    default:
      return false;
  }
}

function refusalOf(dropped: NonNullable<ProposeResult['dropped']>): ProposalRefusal['reason'] {
  switch (dropped) {
    case 'too-many-uncommitted':
    case 'transferring':
      return dropped;
    default:
      return 'not-leader';
  }
}
