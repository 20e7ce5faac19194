import { assert } from '../platform/assert.js';
import {
  type Append,
  type EntryKind,
  type MemberId,
  type Message,
  NO_MEMBER,
  type Snapshot,
} from './message.js';
import { type Raft } from './raft.js';
import { ReadForward } from './read-forward.js';
import { refuseProposal, type Role, type RoleStatus } from './role.js';
import { type ProposeResult } from './work.js';

/** Takes the leader's entries, and watches that there is a leader. Also the role of a learner. */
export class Follower implements Role {
  readonly name = 'follower';
  readonly #raft: Raft;
  readonly #reads: ReadForward;
  /** Ticks until it campaigns because its leader is unreachable; 0 when that is not planned. */
  #campaignInTicks = 0;

  constructor(raft: Raft) {
    this.#raft = raft;
    this.#reads = new ReadForward(raft);
  }

  tick(): void {
    this.#reads.tick();
    if (this.#campaignInTicks > 0) {
      this.#campaignInTicks -= 1;
      if (this.#campaignInTicks === 0) return this.#raft.campaign();
    }
    this.#raft.tickElection();
  }

  step(message: Message): void {
    switch (message.kind) {
      case 'append':
        this.#heardLeader(message);
        this.#append(message);
        break;
      case 'heartbeat': {
        this.#heardLeader(message);
        this.#raft.log.commitTo(message.commit);
        const { from: to, readSequence } = message;
        const { id: from, term, outbox } = this.#raft;
        outbox.send({ kind: 'heartbeat-reply', from, to, term, readSequence });
        break;
      }
      case 'snapshot':
        this.#snapshot(message);
        break;
      case 'timeout-now':
        // The leader that this member follows, and no one else, can hand over to it.
        if (message.from === this.#raft.leader) this.#raft.takeOver();
        else this.#raft.refuseMessage();
        break;
      case 'committed':
        this.#raft.learnCommit(message);
        break;
      case 'read-index': {
        const { from: to, request } = message;
        const { id: from, term, outbox } = this.#raft;
        outbox.send({ kind: 'read-index-refusal', from, to, term, request });
        break;
      }
      case 'read-index-reply':
        this.#reads.answered(message.request, message.index);
        break;
      case 'read-index-refusal':
        this.#reads.refused(message.request);
        break;
      default:
        break;
    }
  }

  propose(_data: Uint8Array, _kind: EntryKind): ProposeResult {
    return refuseProposal(this.#raft.leader);
  }

  readIndex(request: bigint | number): void {
    if (this.#raft.leader === NO_MEMBER) this.#raft.rejectRead(request, 'no-leader');
    else this.#reads.add(request);
  }

  persisted(): void {
    // The acknowledgements left with their batch.
  }

  leaderUnreachable(): void {
    const { leader, config } = this.#raft;
    if (leader === NO_MEMBER) return;
    this.#raft.forgetLeader();
    this.#reads.rejectAll();
    const { min, max } = config.unreachableDelayTicks;
    this.#campaignInTicks = min + config.random.below(max - min + 1);
  }

  sendFailed(_member: MemberId): void {
    // Only a leader sends again.
  }

  reconfigured(): void {
    // The configuration is asked when it is needed.
  }

  leaveJoint(): void {
    // Only a leader leaves it.
  }

  transferLeadership(): boolean {
    return false;
  }

  snapshotSent(): void {
    // Another leader finds out by itself.
  }

  hasAppliedInTerm(): boolean {
    return false;
  }

  hasPending(): boolean {
    return this.#reads.isQueued;
  }

  flush(): void {
    this.#reads.flush(this.#raft.leader);
  }

  leave(): void {
    this.#reads.rejectAll();
  }

  status(): RoleStatus {
    return { uncommittedBytes: 0, pendingReads: this.#reads.size, progress: [] };
  }

  #heardLeader(message: Message): void {
    this.#raft.follow(message.from);
    this.#raft.electionElapsed = 0;
    this.#campaignInTicks = 0;
  }

  #append(message: Append): void {
    const { log, unstable, outbox, id: from, term, configuration } = this.#raft;
    const { from: to, previousIndex, previousTerm, entries } = message;
    // What the log is to hold after the state is not known durably yet; the leader asks again.
    if (this.#raft.isInstalling) return;
    if (configuration.isEmpty) {
      const hint = { hintIndex: 0, hintTerm: 0, needsState: true };
      return outbox.send({ kind: 'append-rejection', from, to, term, previousIndex, ...hint });
    }
    const isForgotten = previousIndex < log.firstIndex - 1;
    if (!isForgotten && !log.matches(previousIndex, previousTerm)) return this.#reject(message);
    const replacedFrom = log.appendFromLeader(entries);
    if (replacedFrom > 0) unstable.truncatedFrom(replacedFrom);
    const lastSent = previousIndex + entries.length;
    log.commitTo(Math.min(message.commit, lastSent));
    // A committed entry is in every later leader's log, so an old append may be answered with all that is committed.
    outbox.send({ kind: 'append-reply', from, to, term, index: Math.max(lastSent, log.commit) });
  }

  #reject(message: Append): void {
    const { log, outbox, id: from, term } = this.#raft;
    const { from: to, previousIndex, previousTerm } = message;
    assert(previousIndex > log.commit, 'a leader has every committed entry');
    const hintIndex = log.lastIndexAtMost(previousIndex, previousTerm);
    const hintTerm = log.termAt(hintIndex);
    const hint = { hintIndex, hintTerm, needsState: false };
    outbox.send({ kind: 'append-rejection', from, to, term, previousIndex, ...hint });
  }

  /**
   * A state has arrived. Its transfer may have outlived the leadership of its sender, so it says nothing about who leads;
   * but it holds only what is committed, so it is as good in every later term. One that the log reaches anyhow only says what is committed; an older one is answered like any
   * message that comes late. While one is being installed no other is taken: the leader then learns how far the member
   * got, and goes on from there.
   */
  #snapshot(message: Snapshot): void {
    const { log, outbox, id: from, term, isInstalling } = this.#raft;
    const { from: to, index, snapshotTerm } = message;
    if (index > log.commit) {
      if (isInstalling) return;
      if (log.matches(index, snapshotTerm)) log.commitTo(index);
      else this.#raft.beginInstall(message);
    }
    outbox.send({ kind: 'append-reply', from, to, term, index: log.commit });
  }
}
