import { assert } from '../platform/assert.js';
import { decodeConfChange, encodeConfChange } from './confchange/conf-change.js';
import {
  type AppendRejection,
  type AppendReply,
  type EntryKind,
  type HeartbeatReply,
  type MemberId,
  type Message,
  NO_MEMBER,
  type ReadIndexRequest,
} from './message.js';
import { type Raft } from './raft.js';
import { ReadOnly, type ReadOrigin } from './read-only.js';
import { sendAppends, wantsAppend } from './replication.js';
import { type Role, type RoleStatus } from './role.js';
import { Tracker } from './tracker/tracker.js';
import { Transfer } from './transfer.js';
import { type DropReason, type ProposeResult } from './work.js';

const NO_DATA = new Uint8Array(0);
const LEAVE_JOINT = encodeConfChange({ changes: [], transition: 'auto', context: NO_DATA });

/**
 * Orders the proposals, replicates them, decides what is committed, and answers reads.
 *
 * Invariants: the log is only appended to (Raft figure 3, leader append-only); the leader's own `match` is what its disk
 * has acknowledged, never more; `uncommittedBytes` is the data in (commit, lastIndex]; while a transfer is under way
 * nothing is appended. A leader that was removed leads, without counting itself, until the remaining voters hold an entry
 * that tells them so (`retireAt`): before, they might have to ask it for its vote for ever.
 */
export class Leader implements Role {
  readonly name = 'leader';
  readonly #raft: Raft;
  readonly #tracker: Tracker;
  readonly #reads: ReadOnly;
  /** The index of the empty entry that begins the term. */
  readonly #termStart: number;
  #uncommittedBytes: number;
  #transfer: Transfer | undefined;
  /** Removed or made a learner: the index with whose commit the leadership ends; 0 otherwise. */
  #retireAt = 0;
  #heartbeatElapsed = 0;
  /** Heartbeats leave at the end of the turn: one each, however many ticks the turn brought. */
  #isHeartbeatDue = false;

  constructor(raft: Raft) {
    const { log } = raft;
    this.#raft = raft;
    this.#tracker = new Tracker(raft.config, raft.configuration, log.lastIndex);
    this.#termStart = log.lastIndex + 1;
    this.#reads = new ReadOnly(this.#termStart);
    this.#uncommittedBytes = log.dataBytes(log.commit + 1, log.lastIndex);
  }

  start(): void {
    this.#append(NO_DATA, 'normal');
    this.persisted();
  }

  tick(): void {
    this.#raft.electionElapsed += 1;
    this.#heartbeatElapsed += 1;
    if (this.#raft.electionElapsed >= this.#raft.config.electionTicks) {
      this.#raft.electionElapsed = 0;
      if (!this.#tracker.takeQuorumActive()) return this.#raft.becomeFollower(this.#raft.term, 0n);
    }
    if (this.#heartbeatElapsed >= this.#raft.config.heartbeatTicks) {
      this.#heartbeatElapsed = 0;
      this.#isHeartbeatDue = this.#tracker.others.length > 0;
    }
    if (this.#transfer?.tick() === true) this.#transfer = undefined;
    if (this.#raft.configuration.confState.autoLeave) this.leaveJoint();
  }

  step(message: Message): void {
    switch (message.kind) {
      case 'append':
      case 'heartbeat':
        assert(false, `member ${message.from} leads term ${message.term} beside this one`);
        break;
      case 'timeout-now':
        this.#raft.refuseMessage();
        break;
      case 'append-reply':
        this.#acknowledged(message);
        break;
      case 'append-rejection':
        this.#rejected(message);
        break;
      case 'heartbeat-reply':
        this.#heard(message);
        break;
      case 'read-index':
        this.#asked(message);
        break;
      default:
        break;
    }
  }

  propose(data: Uint8Array, kind: EntryKind): ProposeResult {
    const { leader, config, term } = this.#raft;
    if (this.#retireAt > 0) return { dropped: 'not-leader', leader: NO_MEMBER };
    const dropped = kind === 'config' ? this.#refusalOfChange(data) : undefined;
    if (dropped !== undefined) return { dropped, leader };
    if (this.#transfer !== undefined) return { dropped: 'transferring', leader };
    const bytes = this.#uncommittedBytes + data.byteLength;
    if (this.#uncommittedBytes > 0 && bytes > config.maxUncommittedBytes) {
      return { dropped: 'too-many-uncommitted', leader };
    }
    return { index: this.#append(data, kind), term };
  }

  readIndex(request: bigint | number): void {
    this.#reads.add({ kind: 'local', request });
  }

  persisted(): void {
    const { unstable } = this.#raft;
    if (unstable.persisted <= this.#tracker.self.match) return;
    this.#tracker.self.acknowledged(unstable.persisted, 0);
    this.#maybeCommit();
  }

  leaderUnreachable(): void {
    // It is the leader.
  }

  sendFailed(member: MemberId): void {
    const progress = this.#tracker.get(member);
    if (progress?.state === 'replicate') progress.becomeProbe();
  }

  reconfigured(): void {
    const { configuration, log, id } = this.#raft;
    if (!configuration.isVoter(id) && this.#retireAt === 0) {
      this.#transfer = undefined;
      this.#retireAt = this.#append(NO_DATA, 'normal');
    }
    this.#tracker.reconfigure(configuration, log.lastIndex);
    if (this.#transfer !== undefined && !configuration.isLastingVoter(this.#transfer.to)) {
      this.#transfer = undefined;
    }
    // Fewer voters may be enough now.
    this.#maybeCommit();
    this.#answerReads();
  }

  leaveJoint(): void {
    const isHandingIn = this.#transfer !== undefined || this.#retireAt > 0;
    if (!isHandingIn && !this.#isChangePending()) this.#append(LEAVE_JOINT, 'config');
  }

  transferLeadership(to: MemberId): boolean {
    const { configuration, id, config } = this.#raft;
    if (to === id) return true;
    if (!configuration.isLastingVoter(to) || this.#retireAt > 0) return false;
    if (this.#transfer?.to !== to) this.#transfer = new Transfer(to, config.electionTicks);
    return true;
  }

  snapshotSent(to: MemberId, mark: { readonly index: number; readonly term: number } | undefined): void {
    const { log } = this.#raft;
    if (mark !== undefined) {
      assert(mark.index <= log.commit, 'a state holds only what is committed');
      assert(!log.knows(mark.index) || log.matches(mark.index, mark.term), 'a state is one of this log');
    }
    this.#tracker.get(to)?.snapshotSent(mark?.index ?? 0);
  }

  hasAppliedInTerm(): boolean {
    return this.#raft.log.applied >= this.#termStart;
  }

  hasPending(): boolean {
    if (this.#transfer !== undefined && this.#mustAskHeir(this.#transfer)) return true;
    if (this.#isHeartbeatDue || this.#reads.shouldBegin(this.#raft.log.commit)) return true;
    for (const progress of this.#tracker.others) if (wantsAppend(this.#raft, progress)) return true;
    return false;
  }

  flush(): void {
    const { commit } = this.#raft.log;
    const isDue = this.#isHeartbeatDue;
    this.#isHeartbeatDue = false;
    const isRound = isDue ? this.#reads.canBegin(commit) : this.#reads.shouldBegin(commit);
    if (isRound) this.#beginRound();
    if (isDue || (isRound && this.#reads.isWaiting)) this.#sendHeartbeats();
    for (const progress of this.#tracker.others) sendAppends(this.#raft, progress);
    if (this.#transfer !== undefined && this.#mustAskHeir(this.#transfer)) {
      const { id: from, term, outbox } = this.#raft;
      outbox.send({ kind: 'timeout-now', from, to: this.#transfer.to, term });
      this.#transfer.asked();
    }
  }

  leave(): void {
    for (const origin of this.#reads.abandon()) this.#refuseRead(origin);
  }

  status(): RoleStatus {
    const progress = this.#tracker.status();
    return { uncommittedBytes: this.#uncommittedBytes, pendingReads: this.#reads.size, progress };
  }

  #append(data: Uint8Array, kind: EntryKind): number {
    const { log, term } = this.#raft;
    const index = log.lastIndex + 1;
    log.append({ index, term, kind, data });
    this.#uncommittedBytes += data.byteLength;
    return index;
  }

  /**
   * One membership change at a time, and none before an entry of the own term is committed: two leaders must not each
   * decide on a change with majorities that have no member in common (Ongaro 2015). A configuration here comes into
   * force when it is applied, not when it is appended, which alone keeps changes of two terms apart; the second rule
   * holds all the same, and makes sure that no older change can still come in between.
   */
  #isChangePending(): boolean {
    return this.#raft.log.hasConfig || this.#raft.log.commit < this.#termStart;
  }

  #refusalOfChange(data: Uint8Array): DropReason | undefined {
    const isLeaving = decodeConfChange(data).changes.length === 0;
    const isJoint = this.#raft.configuration.confState.outgoing.length > 0;
    return this.#isChangePending() || (isJoint && !isLeaving) ? 'config-change-pending' : undefined;
  }

  #mustAskHeir(transfer: Transfer): boolean {
    const match = this.#tracker.get(transfer.to)?.match;
    return transfer.mustAsk && match === this.#raft.log.lastIndex;
  }

  /** Earlier entries are committed with the first one of the own term. */
  #maybeCommit(): void {
    const { log, term } = this.#raft;
    const index = this.#tracker.quorumMatch();
    if (!log.isCommittable(index, term)) return;
    this.#uncommittedBytes -= log.dataBytes(log.commit + 1, index);
    assert(this.#uncommittedBytes >= 0, 'uncommitted bytes are counted once');
    log.commitTo(index);
    if (this.#retireAt > 0 && index >= this.#retireAt) this.#raft.becomeFollower(term, NO_MEMBER);
  }

  #acknowledged(message: AppendReply): void {
    const progress = this.#tracker.get(message.from);
    if (progress === undefined) return;
    // No honest member acknowledges what was never sent.
    if (message.index > this.#raft.log.lastIndex) return this.#raft.refuseMessage();
    progress.recentActive = true;
    if (progress.acknowledged(message.index, this.#raft.log.firstIndex - 1)) this.#maybeCommit();
  }

  #rejected(message: AppendRejection): void {
    const progress = this.#tracker.get(message.from);
    if (progress === undefined) return;
    progress.recentActive = true;
    const candidate = this.#raft.log.lastIndexAtMost(message.hintIndex, message.hintTerm);
    if (progress.rejected(message.previousIndex, candidate)) progress.needsState = message.needsState;
  }

  #heard(message: HeartbeatReply): void {
    const progress = this.#tracker.get(message.from);
    if (progress === undefined) return;
    if (message.readSequence > this.#reads.sequence) return this.#raft.refuseMessage();
    progress.recentActive = true;
    progress.heard(this.#raft.log.lastIndex);
    if (message.readSequence <= progress.readAcknowledged) return;
    progress.readAcknowledged = message.readSequence;
    this.#answerReads();
  }

  /**
   * Who asks in this term had not voted in a later one when the reads had arrived that it asks for: it confirms the leader
   * for them, as the answer to a heartbeat would. Where the two are a quorum no round is needed.
   */
  #asked({ from: member, request }: ReadIndexRequest): void {
    const { commit } = this.#raft.log;
    if (!this.#reads.isOpen(commit) || !this.#tracker.isQuorumWith(member))
      return this.#reads.add({ kind: 'forwarded', member, request });
    this.#tellIndex(member, request, 0, commit);
  }

  #sendHeartbeats(): void {
    const { id: from, term, log, outbox } = this.#raft;
    const readSequence = this.#reads.isWaiting ? this.#reads.sequence : 0;
    for (const { member: to, match } of this.#tracker.others) {
      const commit = Math.min(match, log.commit);
      outbox.send({ kind: 'heartbeat', from, to, term, commit, readSequence });
    }
  }

  /** The leader confirms itself at once; as the only voter it is all the quorum there is. */
  #beginRound(): void {
    this.#reads.begin(this.#raft.log.commit);
    this.#tracker.self.readAcknowledged = this.#reads.sequence;
    this.#answerReads();
  }

  #answerReads(): void {
    const { reads } = this.#raft;
    for (const { sequence, index, origins } of this.#reads.confirm(this.#tracker.quorumRead())) {
      for (const origin of origins) {
        if (origin.kind === 'local') reads.push({ kind: 'index', request: origin.request, index });
        else this.#tellIndex(origin.member, origin.request, sequence, index);
      }
    }
  }

  #tellIndex(to: MemberId, request: number, sequence: number, index: number): void {
    const { id: from, term, outbox } = this.#raft;
    outbox.send({ kind: 'read-index-reply', from, to, term, request, sequence, index });
  }

  #refuseRead(origin: ReadOrigin): void {
    const { id: from, term, outbox } = this.#raft;
    if (origin.kind === 'local') return this.#raft.rejectRead(origin.request, 'leader-changed');
    outbox.send({ kind: 'read-index-refusal', from, to: origin.member, term, request: origin.request });
  }
}
