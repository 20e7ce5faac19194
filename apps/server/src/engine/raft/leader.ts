import { assert } from '../platform/assert.js';
import {
  type AppendRejection,
  type AppendReply,
  type EntryKind,
  type HeartbeatReply,
  type MemberId,
  type Message,
} from './message.js';
import { type Raft } from './raft.js';
import { ReadOnly, type ReadOrigin } from './read-only.js';
import { sendAppends, wantsAppend } from './replication.js';
import { type Role, type RoleStatus } from './role.js';
import { Tracker } from './tracker/tracker.js';
import { type ProposeResult } from './work.js';

const NO_DATA = new Uint8Array(0);

/**
 * Orders the proposals, replicates them, decides what is committed, and answers reads.
 *
 * Invariants: the log is only appended to (Raft figure 3, leader append-only); the leader's own `match` is what its disk
 * has acknowledged, never more; `uncommittedBytes` is the data in (commit, lastIndex].
 */
export class Leader implements Role {
  readonly name = 'leader';
  readonly #raft: Raft;
  readonly #tracker: Tracker;
  readonly #reads: ReadOnly;
  /** The index of the empty entry that begins the term. */
  readonly #termStart: number;
  #uncommittedBytes: number;
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
  }

  step(message: Message): void {
    switch (message.kind) {
      case 'append':
      case 'heartbeat':
        assert(false, `member ${message.from} leads term ${message.term} beside this one`);
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
        this.#reads.add({ kind: 'forwarded', member: message.from, request: message.request });
        break;
      default:
        break;
    }
  }

  propose(data: Uint8Array, kind: EntryKind): ProposeResult {
    const { leader, config, term } = this.#raft;
    if (kind === 'config') return { dropped: 'config-changes-unavailable', leader };
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
    this.#tracker.self.acknowledged(unstable.persisted);
    this.#maybeCommit();
  }

  leaderUnreachable(): void {
    // It is the leader.
  }

  sendFailed(member: MemberId): void {
    const progress = this.#tracker.get(member);
    if (progress?.state === 'replicate') progress.becomeProbe();
  }

  hasAppliedInTerm(): boolean {
    return this.#raft.log.applied >= this.#termStart;
  }

  hasPending(): boolean {
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

  /** Earlier entries are committed with the first one of the own term. */
  #maybeCommit(): void {
    const { log, term } = this.#raft;
    const index = this.#tracker.quorumMatch();
    if (!log.isCommittable(index, term)) return;
    this.#uncommittedBytes -= log.dataBytes(log.commit + 1, index);
    assert(this.#uncommittedBytes >= 0, 'uncommitted bytes are counted once');
    log.commitTo(index);
  }

  #acknowledged(message: AppendReply): void {
    const progress = this.#tracker.get(message.from);
    if (progress === undefined) return;
    // No honest member acknowledges what was never sent.
    if (message.index > this.#raft.log.lastIndex) return this.#raft.refuseMessage();
    progress.recentActive = true;
    if (progress.acknowledged(message.index)) this.#maybeCommit();
  }

  #rejected(message: AppendRejection): void {
    const progress = this.#tracker.get(message.from);
    if (progress === undefined) return;
    progress.recentActive = true;
    const candidate = this.#raft.log.lastIndexAtMost(message.hintIndex, message.hintTerm);
    progress.rejected(message.previousIndex, candidate);
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
    const { id: from, term, outbox, reads } = this.#raft;
    for (const { sequence, index, origins } of this.#reads.confirm(this.#tracker.quorumRead())) {
      for (const origin of origins) {
        if (origin.kind === 'local') reads.push({ kind: 'index', request: origin.request, index });
        else
          outbox.send({
            kind: 'read-index-reply',
            from,
            to: origin.member,
            term,
            request: origin.request,
            sequence,
            index,
          });
      }
    }
  }

  #refuseRead(origin: ReadOrigin): void {
    const { id: from, term, outbox } = this.#raft;
    if (origin.kind === 'local') return this.#raft.rejectRead(origin.request, 'leader-changed');
    outbox.send({ kind: 'read-index-refusal', from, to: origin.member, term, request: origin.request });
  }
}
