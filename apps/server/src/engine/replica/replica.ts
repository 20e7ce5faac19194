import { ProtocolError } from '@conclave/protocol';
import { CommandKind } from '../apply/command.js';
import { encodeCheckpoints } from '../apply/lease-payload.js';
import type { MembershipCommand } from '../apply/membership.js';
import { assert } from '../platform/assert.js';
import type { MemberId } from '../raft/message.js';
import type { RaftStatus, RoleChange, SnapshotInstall, Work } from '../raft/raw-node.js';
import type { LeaderLink } from './leader-link.js';
import { ApplyDurations } from './apply-durations.js';
import { type ApplyListener, ApplyQueue } from './apply-queue.js';
import { IntegrityCheck } from './integrity.js';
import { isSoleVoter } from './leadership-transfer.js';
import { LogCut } from './log-cut.js';
import { encodeMemberId, type PeerMessage } from './peer-message.js';
import type { ProposalDone } from './proposals.js';
import { Reads, type ReadDone } from './reads.js';
import { ReplicaLoad } from './replica-load.js';
import type { ReplicaEvents } from './replica-events.js';
import type { ReplicaOptions, ReplicaParts } from './replica-parts.js';
import { StateInstall } from './state-install.js';
import { StateTransfer } from './state-transfer.js';
import { StepAside } from './step-aside.js';
import { Submissions } from './submissions.js';
import { Ticker } from './ticker.js';

/**
 * One member: drives the consensus core and owns the order of side effects. Nothing here blocks; work goes in turns:
 * all that arrived meanwhile is taken from the core as one batch, appended with one write and one sync, and answered
 * when it is applied.
 *
 * Invariants: messages that a batch implies leave after it is durable; entries are applied in order, each once; a
 * proposal is answered after its entry was applied here, hence after it was durable; a proposal takes effect at most
 * once, also when it is proposed again after its leader was lost (see Forwarding).
 */
export class Replica {
  readonly events: ReplicaEvents = {};
  /** As the entries that this member has applied say. Learners answer no linearizable reads, as etcd's do not. */
  isLearner = false;
  /** Changes of leader that this member saw since the start. */
  leaderChanges = 0;

  /** For metrics. */
  readonly load: ReplicaLoad;
  private readonly submissions: Submissions;
  private readonly reads = new Reads();
  private readonly logCut: LogCut;
  private readonly transfer: StateTransfer;
  private readonly installation: StateInstall;
  private readonly queue: ApplyQueue;
  private readonly check: IntegrityCheck;
  private readonly stepAside: StepAside;
  private turnScheduled = false;
  private stopped = false;
  private refused: ProtocolError | undefined;
  private currentlyLeading: number | undefined;
  private currentTerm: number;
  private currentLeader: MemberId = 0n;
  private lastLeader: MemberId = 0n;
  private readonly ticker: Ticker;

  constructor(
    private readonly parts: ReplicaParts,
    private readonly options: ReplicaOptions,
  ) {
    const { raft, transport, wal, backend, clock, proposer, logger } = parts;
    this.currentTerm = raft.status().term;
    const wake = (): void => this.scheduleTurn();
    this.submissions = new Submissions({ raft, proposer, clock, wake }, options);
    transport.onMessage = (message) => this.receive(message);
    transport.onUnreachable = (member) => this.memberUnreachable(member);
    transport.onSendFailed = (member) => this.tell(() => raft.sendFailed(member));
    const fail = (error: Error): void => this.fail(error);
    wal.onFailure = fail;
    backend.onFailure = fail;
    backend.onFlushed = (mark) => this.tell(() => this.logCut.flushed(mark));
    this.logCut = new LogCut(raft, wal, logger);
    const { disk, spoolDirectory, memberId, machine } = parts;
    const listener: ApplyListener = {
      termBegins: (term) => this.submissions.termBegins(term),
      applied: (entry, result) => this.submissions.settle(entry, result),
    };
    this.queue = new ApplyQueue(
      machine,
      clock,
      listener,
      new ApplyDurations(parts.meter),
      backend.applied.term,
    );
    this.load = new ReplicaLoad(this.submissions, this.reads, this.queue);
    this.ticker = new Ticker(clock, options.heartbeatMs, () => this.tick());
    this.stepAside = new StepAside({ raft, logger, electionMs: options.electionMs });
    this.check = new IntegrityCheck({
      ...{ memberId, raft, machine, backend, clock, logger },
      send: (messages) => transport.send(messages),
      leader: () => this.currentLeader,
      proposeAsLeader: (kind, payload, done) => this.proposeAsLeader(kind, payload, done),
      askForState: (done) => this.link.ask('member-state', encodeMemberId(memberId), done),
      doubted: () => this.doubted(),
    });
    const common = { raft, backend, disk, logger, logCut: this.logCut };
    this.transfer = new StateTransfer({ ...common, transport, clock, spoolDirectory, wake, fail });
    this.installation = new StateInstall({
      ...common,
      memberId,
      clock,
      wal,
      turn: () => this.turn(),
      queue: this.queue,
      integrity: () => this.check.integrity,
      replaced: (state) => this.stateReplaced(state),
      resumed: () => this.resumed(),
      noSpace: () => this.events.noSpace?.(),
      fail,
    });
    transport.onState = (state) => this.tell(() => this.installation.arrived(state));
    machine.onConfChange = (change, index) => {
      const confState = raft.applyConfChange(change);
      this.transfer.configured(index, confState);
      return confState;
    };
  }

  /** Begins to tick; a member that is the only voter campaigns at once rather than wait for an election timeout. */
  start(): void {
    void this.transfer.clearSpool();
    this.check.start();
    if (isSoleVoter(this.status)) this.guard(() => this.parts.raft.campaign());
    this.ticker.start();
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
    return this.currentlyLeading !== undefined;
  }

  /** The term that this member leads in, as long as it does. */
  get leadingTerm(): number | undefined {
    return this.currentlyLeading;
  }

  /** Why this member serves nobody; undefined while it does. */
  get refusal(): ProtocolError | undefined {
    return this.refused;
  }

  get status(): RaftStatus {
    return this.parts.raft.status();
  }

  /** What goes between this member and the leader beside raft. */
  get link(): LeaderLink {
    return this.submissions.link;
  }

  /**
   * Proposes one command, through the leader when that is another member, and as soon as there is one. `done` is called
   * once: with the result after it was applied here, or with why there is none; "timed out" leaves the outcome open.
   */
  propose(kind: CommandKind, payload: Uint8Array, done: ProposalDone): void {
    if (this.refused !== undefined) return done(this.refused, undefined);
    this.submissions.propose(kind, payload, done);
  }

  /** Proposes what only the leader may, and only in its term; it is never handed to anybody and never proposed again. */
  proposeAsLeader(kind: CommandKind, payload: Uint8Array, done: ProposalDone): void {
    if (this.refused !== undefined) return done(this.refused, undefined);
    this.submissions.proposeAsLeader(kind, payload, done);
  }

  /** Proposes a change of the members, once no other is under way. Only for the leader: NotLeader means nothing was begun. */
  proposeChange(command: MembershipCommand, done: ProposalDone): void {
    if (this.refused !== undefined) return done(this.refused, undefined);
    if (!this.leads) return done(ProtocolError.of('NotLeader'), undefined);
    this.submissions.proposeChange(command, done);
  }

  /**
   * Calls back once local state holds everything that was committed before this call (a linearizable read may then be
   * served from it). The only voter may answer at once: whatever it acknowledged, it had applied before.
   */
  linearizable(done: ReadDone): void {
    if (this.refused !== undefined) return done(this.refused);
    if (this.parts.raft.canReadLocally()) return done(undefined);
    if (this.isLearner) return done(ProtocolError.of('NotSupportedForLearner'));
    this.reads.add(this.parts.clock.now() + this.options.requestTimeoutMs, done);
    this.scheduleTurn();
  }

  /** Begins to hand leadership to a voter; false when this member does not lead or `to` cannot take it. */
  transferLeadership(to: MemberId): boolean {
    if (this.stopped) return false;
    const isBegun = this.parts.raft.transferLeadership(to);
    this.scheduleTurn();
    return isBegun;
  }

  /** Ends the member in order: what is proposed is answered or fails, nothing new is taken. */
  stop(): void {
    if (this.stopped) return;
    const error = ProtocolError.of('Stopped');
    this.stopped = true;
    this.refused = error;
    this.ticker.stop();
    this.transfer.stop();
    this.submissions.failAll(error);
    this.reads.failAll(error);
  }

  /** Ends the member because it cannot go on, or must not. */
  fail(error: Error): void {
    if (this.stopped) return;
    this.parts.logger.error('member stops: it cannot go on safely', { reason: error.message });
    this.stop();
    assert(this.events.failure !== undefined, 'a failing member has somebody to tell');
    this.events.failure(error);
  }

  private tick(): void {
    if (this.stopped) return;
    const { raft, clock, backend } = this.parts;
    const now = clock.now();
    this.reads.expire(now);
    this.submissions.isBehind = backend.stats.mustPushBack;
    this.guard(() => {
      this.submissions.tick();
      raft.tick();
      this.stepAside.tick(now);
      this.check.tick(this.leads);
      for (const request of this.reads.takeRetries(now, false)) raft.readIndex(request);
      this.events.tick?.();
    });
    this.scheduleTurn();
  }

  private receive(message: PeerMessage): void {
    this.tell(() => {
      switch (message.kind) {
        case 'propose':
        case 'propose-refused':
        case 'query':
        case 'query-reply':
          return this.link.receive(message);
        case 'chains':
          return this.check.received(message);
        default:
          if (this.check.mayStep(message) && !this.installation.ignores(message))
            this.parts.raft.step(message);
      }
    });
  }

  /** Something outside happened. */
  private tell(action: () => void): void {
    if (this.stopped) return;
    this.guard(action);
    this.scheduleTurn();
  }

  private memberUnreachable(member: MemberId): void {
    this.tell(() => {
      this.parts.raft.sendFailed(member);
      if (member === this.leader) this.parts.raft.leaderUnreachable();
    });
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
      const { raft, transport, clock } = this.parts;
      const request = this.reads.isGathering ? this.reads.takeRequest(clock.now()) : undefined;
      if (request !== undefined) raft.readIndex(request);
      while (raft.hasWork()) this.perform(raft.takeWork());
      this.applyCommitted();
      if (this.link.hasOutgoing) transport.send(this.link.takeOutgoing());
    });
  }

  private perform(work: Work): void {
    const { raft, wal, transport } = this.parts;
    if (work.roleChange !== undefined) this.roleChanged(work.roleChange);
    if (work.messages.length > 0) transport.send(this.check.filter(work.messages));
    const { persist } = work;
    if (persist !== undefined) {
      const { id, hardState, entries, mustSync, messages } = persist;
      if (hardState !== undefined) this.currentTerm = hardState.term;
      this.stepAside.writing(id);
      wal.append({ hardState, entries, mustSync }, () => {
        if (this.stopped) return;
        this.stepAside.wrote(id);
        this.guard(() => raft.persisted(id));
        if (messages.length > 0) transport.send(this.check.filter(messages));
        this.turn();
      });
    }
    this.queue.add(work.committed);
    for (const { to } of work.snapshots) this.transfer.send(to);
    if (work.install !== undefined) this.installation.begin(work.install);
    for (const read of work.reads) {
      if (read.kind === 'rejected') this.reads.reject(Number(read.request));
      else this.reads.confirm(Number(read.request), read.index, this.parts.backend.applied.index);
    }
  }

  /** Applies what is committed, in slices: the rest goes on in the next turn. */
  private applyCommitted(): void {
    const last = this.queue.applySlice();
    const { raft } = this.parts;
    if (last > 0) {
      raft.applied(last);
      this.logCut.applied(last, this.queue.takeBytes());
      this.reads.applied(last);
      this.check.applied(last);
    }
    if ((this.queue.size > 0 && !this.queue.isPaused) || raft.hasWork()) this.scheduleTurn();
  }

  private roleChanged(change: RoleChange): void {
    const { role, term, leader } = change;
    this.parts.logger.info('raft role changed', { role, term, leader: leader.toString(16) });
    this.currentLeader = leader;
    if (leader !== 0n && leader !== this.lastLeader) {
      this.lastLeader = leader;
      this.leaderChanges++;
    }
    this.currentlyLeading = role === 'leader' ? term : undefined;
    this.events.leadership?.(this.currentlyLeading);
    if (!this.leads) this.submissions.abandonChanges();
    this.link.roleChanged(change);
    if (leader === 0n) return;
    const now = this.parts.clock.now();
    for (const request of this.reads.takeRetries(now, true)) this.parts.raft.readIndex(request);
    this.events.leader?.();
  }

  /** Sends a state to a member that asked for it, one that is ahead of all that member has: behind an entry of its own. */
  sendState(to: MemberId): void {
    const payload = encodeCheckpoints({ term: this.currentTerm, appliedIndex: 0 }, []);
    this.proposeAsLeader(CommandKind.LeaseCheckpoint, payload, (error) => {
      if (error === undefined) this.transfer.offer(to);
    });
  }

  /** This member's state is in doubt: nothing more is applied to it, and nobody is served from it. */
  private doubted(): void {
    this.refused = ProtocolError.of('Unhealthy');
    this.queue.isPaused = true;
    this.submissions.forgetProposed();
    this.reads.failAll(this.refused);
    this.events.doubted?.();
    this.scheduleTurn();
  }

  /** A state was installed, and none of the leader's is in doubt. */
  private resumed(): void {
    this.check.restored();
    if (!this.stopped) this.refused = undefined;
    this.queue.isPaused = false;
    this.scheduleTurn();
  }

  /** The state at `index` took the place of everything before. */
  private stateReplaced({ index, term, confState }: SnapshotInstall): void {
    this.parts.machine.reload();
    this.queue.restartedIn(term);
    this.transfer.configured(index, confState);
    this.submissions.forgetProposed();
    this.reads.applied(index);
    this.events.restored?.();
  }

  /** Runs protocol code; an invariant that breaks there stops the member rather than continue on a wrong state. */
  private guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.fail(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
