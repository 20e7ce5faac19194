import { assert } from '../platform/assert.js';
import { type Append, type EntryKind, type MemberId, type Message, NO_MEMBER } from './message.js';
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
    const { log, unstable, outbox, id: from, term } = this.#raft;
    const { from: to, previousIndex, previousTerm, entries } = message;
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
    outbox.send({ kind: 'append-rejection', from, to, term, previousIndex, hintIndex, hintTerm });
  }
}
