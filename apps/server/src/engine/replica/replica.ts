import { ProtocolError } from '@conclave/protocol';
import { type CommandKind, encodeCommand, type Proposer } from '../apply/command.js';
import type { StateMachine } from '../apply/state-machine.js';
import type { Backend } from '../backend/backend.js';
import { assert } from '../platform/assert.js';
import type { Clock, Timer } from '../platform/clock.js';
import type { Logger } from '../platform/logger.js';
import type { Entry, MemberId } from '../raft/message.js';
import type { RawNode, Work } from '../raft/raw-node.js';
import type { Wal } from '../wal/wal.js';
import type { PeerTransport } from './peer-transport.js';
import { Proposals, type ProposalDone } from './proposals.js';
import { Reads, type ReadDone } from './reads.js';

/** What a replica is made of; the composition root builds all of it. */
export interface ReplicaParts {
  readonly raft: RawNode;
  readonly wal: Wal;
  readonly machine: StateMachine;
  readonly backend: Backend;
  readonly transport: PeerTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly proposer: Proposer;
}

export interface ReplicaOptions {
  /** One raft tick. */
  readonly heartbeatMs: number;
  /** After this a request without an outcome is answered "timed out": 5 s and two election timeouts. */
  readonly requestTimeoutMs: number;
  /** Bytes of proposals that may wait; more are refused as "too many requests". */
  readonly proposalBytesMax: number;
}

/** Applying goes on for at most this long before the turn ends, so that sockets and timers get their share. */
const applySliceMs = 5;

/** Applied entries are dropped from memory in batches of so many. */
const forgetEvery = 1_024;

/**
 * One member: drives the consensus core and owns the order of side effects. Nothing here blocks; work goes in turns:
 * all that arrived meanwhile is taken from the core as one batch, appended with one write and one sync, and answered
 * when it is applied.
 *
 * Invariants: messages that a batch implies leave after it is durable; entries are applied in order, each once; a
 * proposal is answered after its entry was applied, hence after it was durable.
 */
export class Replica {
  /** Called when this member starts to lead in a term, and with undefined when it no longer does. */
  onLeadership: ((term: number | undefined) => void) | undefined;
  /** Called once when the member cannot go on; whoever runs it must end the process. */
  onFailure: ((error: Error) => void) | undefined;

  private readonly proposals = new Proposals();
  private readonly reads = new Reads();
  private readonly toApply: Entry[] = [];
  private toApplyFrom = 0;
  private sequence = 0;
  private turnScheduled = false;
  private stopped = false;
  /** The store cannot keep up with what is applied; looked at once per tick. */
  private isBehind = false;
  private leadingTerm: number | undefined;
  private forgotten = 0;
  private currentTerm: number;
  private currentLeader: MemberId = 0n;
  private ticker: Timer | undefined;

  constructor(
    private readonly parts: ReplicaParts,
    private readonly options: ReplicaOptions,
  ) {
    this.currentTerm = parts.raft.status().term;
    parts.transport.onMessage = (message) => {
      if (this.stopped) return;
      this.guard(() => parts.raft.step(message));
      this.scheduleTurn();
    };
    parts.transport.onUnreachable = (member) => this.memberUnreachable(member);
    parts.wal.onFailure = (error) => this.fail(error);
    parts.backend.onFailure = (error) => this.fail(error);
    parts.backend.onFlushed = ({ index, term }) => this.cutLog(index, term);
  }

  /** Begins to tick; a member that is the only voter campaigns at once rather than wait for an election timeout. */
  start(): void {
    if (this.isSoleVoter()) this.guard(() => this.parts.raft.campaign());
    this.tickLater();
    this.scheduleTurn();
  }

  get leader(): MemberId {
    return this.currentLeader;
  }

  /** The raft term, for response headers. */
  get term(): number {
    return this.currentTerm;
  }

  /** True while this member leads, and lease clocks run here. */
  get leads(): boolean {
    return this.leadingTerm !== undefined;
  }

  get status(): ReturnType<RawNode['status']> {
    return this.parts.raft.status();
  }

  get pendingProposals(): number {
    return this.proposals.count;
  }

  get pendingReads(): number {
    return this.reads.count;
  }

  /** Bytes of commands that are proposed and not applied yet. */
  get proposalBytes(): number {
    return this.proposals.bytes;
  }

  /** Entries that are committed and wait to be applied. */
  get applyBacklog(): number {
    return this.toApply.length - this.toApplyFrom;
  }

  /** Proposes one command. `done` is called once: with the result after it was applied, or with why there is none. */
  propose(kind: CommandKind, payload: Uint8Array, done: ProposalDone): void {
    if (this.stopped) return done(ProtocolError.of('Stopped'), undefined);
    if (this.isBehind || this.proposals.bytes > this.options.proposalBytesMax) {
      return done(ProtocolError.of('RequestTooManyRequests'), undefined);
    }
    const command = encodeCommand(kind, this.parts.proposer, ++this.sequence, payload);
    const outcome = this.parts.raft.propose(command);
    if (outcome.dropped !== undefined) {
      const reason = outcome.dropped === 'too-many-uncommitted' ? 'RequestTooManyRequests' : 'NoLeader';
      return done(ProtocolError.of(reason), undefined);
    }
    const deadline = this.parts.clock.now() + this.options.requestTimeoutMs;
    this.proposals.add(outcome.index, outcome.term, command.length, deadline, done);
    this.scheduleTurn();
  }

  /**
   * Calls back once local state holds everything that was committed before this call (a linearizable read may then be
   * served from it). The only voter may answer at once: whatever it acknowledged, it had applied before.
   */
  linearizable(done: ReadDone): void {
    if (this.stopped) return done(ProtocolError.of('Stopped'));
    if (this.parts.raft.canReadLocally()) return done(undefined);
    this.reads.add(this.parts.clock.now() + this.options.requestTimeoutMs, done);
    this.scheduleTurn();
  }

  /** Ends the member in order: what is proposed is answered or fails, nothing new is taken. */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.ticker?.cancel();
    this.proposals.failAll(ProtocolError.of('Stopped'));
    this.reads.failAll(ProtocolError.of('Stopped'));
  }

  private isSoleVoter(): boolean {
    const { id, confState } = this.parts.raft.status();
    return confState.voters.length === 1 && confState.voters[0] === id && confState.outgoing.length === 0;
  }

  private tickLater(): void {
    this.ticker = this.parts.clock.after(this.options.heartbeatMs, () => {
      if (this.stopped) return;
      const now = this.parts.clock.now();
      this.proposals.expire(now);
      this.reads.expire(now);
      this.isBehind = this.parts.backend.stats.mustPushBack;
      this.guard(() => this.parts.raft.tick());
      this.tickLater();
      this.scheduleTurn();
    });
  }

  private memberUnreachable(member: MemberId): void {
    if (this.stopped || member !== this.leader) return;
    this.guard(() => this.parts.raft.leaderUnreachable());
    this.scheduleTurn();
  }

  private scheduleTurn(): void {
    if (this.turnScheduled) return;
    this.turnScheduled = true;
    this.parts.clock.defer(() => {
      this.turnScheduled = false;
      this.turn();
    });
  }

  private turn(): void {
    if (this.stopped) return;
    this.guard(() => {
      const request = this.reads.takeRequest();
      if (request !== undefined) this.parts.raft.readIndex(request);
      while (this.parts.raft.hasWork()) this.perform(this.parts.raft.takeWork());
      this.applyCommitted();
    });
  }

  private perform(work: Work): void {
    const { raft, wal, transport } = this.parts;
    if (work.roleChange !== undefined) this.roleChanged(work.roleChange);
    if (work.messages.length > 0) transport.send(work.messages);
    const { persist } = work;
    if (persist !== undefined) {
      const { id, hardState, entries, mustSync, messages } = persist;
      if (hardState !== undefined) this.currentTerm = hardState.term;
      wal.append({ hardState, entries, mustSync }, () => {
        if (this.stopped) return;
        this.guard(() => raft.persisted(id));
        if (messages.length > 0) transport.send(messages);
        this.turn();
      });
    }
    for (const entry of work.committed) this.toApply.push(entry);
    for (const read of work.reads) {
      if (read.kind === 'rejected')
        this.reads.reject(Number(read.request), ProtocolError.of('LeaderChanged'));
      else this.reads.confirm(Number(read.request), read.index, this.parts.backend.applied.index);
    }
  }

  /** Applies what is committed, in slices: the rest goes on in the next turn. */
  private applyCommitted(): void {
    const { machine, raft, clock } = this.parts;
    const until = clock.now() + applySliceMs;
    let applied = 0;
    let last = 0;
    while (this.toApplyFrom < this.toApply.length) {
      const entry = this.toApply[this.toApplyFrom];
      const result = machine.apply(entry);
      if (result === undefined) break;
      this.toApplyFrom++;
      last = entry.index;
      this.proposals.settle(last, entry.term, result);
      if ((++applied & 31) === 0 && clock.now() >= until) break;
    }
    if (applied > 0) {
      raft.applied(last);
      this.forgetApplied(last);
      this.reads.applied(last);
    }
    if (this.toApplyFrom === this.toApply.length) {
      this.toApply.length = 0;
      this.toApplyFrom = 0;
    }
    if (this.applyBacklog > 0 || raft.hasWork()) this.scheduleTurn();
  }

  /** Drops from memory what no member needs any more, before it grows old enough to cost the collector. */
  private forgetApplied(index: number): void {
    if (index - this.forgotten < forgetEvery) return;
    this.forgotten = index;
    this.parts.raft.compact(index);
  }

  private roleChanged(change: {
    readonly role: string;
    readonly term: number;
    readonly leader: MemberId;
  }): void {
    this.parts.logger.info('raft role changed', {
      role: change.role,
      term: change.term,
      leader: change.leader.toString(16),
    });
    this.currentLeader = change.leader;
    this.leadingTerm = change.role === 'leader' ? change.term : undefined;
    this.onLeadership?.(this.leadingTerm);
    if (change.role !== 'leader') this.proposals.failAll(ProtocolError.of('LeaderChanged'));
  }

  /** The file is durable up to `index`: entries before it are needed neither in memory nor in the log's segments. */
  private cutLog(index: number, term: number): void {
    if (this.stopped) return;
    const { raft, wal, logger } = this.parts;
    this.guard(() => raft.compact(index));
    const mark = { index, term, confState: raft.status().confState };
    wal.saveMark(mark, () => {
      wal.cut(index);
      logger.debug('log cut at flush', { index, term });
    });
  }

  /** Runs protocol code; an invariant that breaks there stops the member rather than continue on a wrong state. */
  private guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  private fail(error: Error): void {
    if (this.stopped) return;
    this.parts.logger.error('member stops: it cannot go on safely', { reason: error.message });
    this.stop();
    assert(this.onFailure !== undefined, 'a failing member has somebody to tell');
    this.onFailure(error);
  }
}
