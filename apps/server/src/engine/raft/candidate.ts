import { assert } from '../platform/assert.js';
import { type EntryKind, type MemberId, type Message } from './message.js';
import { quorumVote, type Electorate } from './quorum/joint.js';
import { type Raft } from './raft.js';
import { refuseProposal, type Role, type RoleStatus } from './role.js';
import { type ProposeResult } from './work.js';

const IDLE: RoleStatus = { uncommittedBytes: 0, pendingReads: 0, progress: [] };

/**
 * Asks the voters, first without consequence (pre-vote, thesis 9.6), then for the term. A member that the leader hands
 * over to begins with the latter. What is asked does not change within one life of the object.
 *
 * Invariant: its own vote counts at once in a pre-vote, and in a real vote only when it is on disk.
 */
export class Candidate implements Role {
  readonly name: 'pre-candidate' | 'candidate';
  readonly #raft: Raft;
  readonly #isPreVote: boolean;
  readonly #isTransfer: boolean;
  readonly #electorate: Electorate;
  readonly #votes = new Map<MemberId, boolean>();

  constructor(raft: Raft, asks: 'pre-vote' | 'vote' | 'transfer') {
    this.#raft = raft;
    this.#isPreVote = asks === 'pre-vote';
    this.#isTransfer = asks === 'transfer';
    this.#electorate = raft.configuration.electorate;
    this.name = this.#isPreVote ? 'pre-candidate' : 'candidate';
  }

  start(): void {
    const { id, term, log, outbox, configuration } = this.#raft;
    const { lastIndex, lastTerm } = log;
    for (const to of configuration.members) {
      if (to === id || !configuration.isVoter(to)) continue;
      if (this.#isPreVote)
        outbox.send({ kind: 'pre-vote', from: id, to, term: term + 1, lastIndex, lastTerm });
      else {
        const transfer = this.#isTransfer;
        outbox.send({ kind: 'vote', from: id, to, term, lastIndex, lastTerm, transfer });
      }
    }
    if (this.#isPreVote) this.#count(id, true);
  }

  tick(): void {
    this.#raft.tickElection();
  }

  step(message: Message): void {
    switch (message.kind) {
      case 'append':
      case 'heartbeat':
        this.#raft.becomeFollower(message.term, message.from);
        this.#raft.role.step(message);
        break;
      case 'pre-vote-reply':
        if (this.#isPreVote && this.#answersThisRound(message.granted, message.term)) {
          this.#count(message.from, message.granted);
        }
        break;
      case 'vote-reply':
        if (!this.#isPreVote) this.#count(message.from, message.granted);
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
      default:
        break;
    }
  }

  propose(_data: Uint8Array, _kind: EntryKind): ProposeResult {
    return refuseProposal(this.#raft.leader);
  }

  readIndex(request: bigint | number): void {
    this.#raft.rejectRead(request, 'no-leader');
  }

  persisted(): void {
    const { id, term, unstable } = this.#raft;
    const isVoteDurable = unstable.durableHardState.term === term && unstable.durableHardState.vote === id;
    if (!this.#isPreVote && isVoteDurable) this.#count(id, true);
  }

  leaderUnreachable(): void {
    // It campaigns already.
  }

  sendFailed(_member: MemberId): void {
    // Only a leader sends again.
  }

  reconfigured(): void {
    assert(false, 'no one campaigns with a membership change to apply or a state to install');
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
    return false;
  }

  flush(): void {
    // Requests are sent at once.
  }

  leave(): void {
    // Nothing waits here.
  }

  status(): RoleStatus {
    return IDLE;
  }

  /** A granted pre-vote names the term asked for, a refused one the term that the voter is in. */
  #answersThisRound(granted: boolean, term: number): boolean {
    return term === (granted ? this.#raft.term + 1 : this.#raft.term);
  }

  #count(voter: MemberId, granted: boolean): void {
    if (!this.#votes.has(voter)) this.#votes.set(voter, granted);
    switch (quorumVote(this.#electorate, (member) => this.#votes.get(member))) {
      case 'won':
        if (this.#isPreVote) this.#raft.campaignForTerm();
        else this.#raft.becomeLeader();
        break;
      case 'lost':
        this.#raft.becomeFollower(this.#raft.term, 0n);
        break;
      case 'pending':
        break;
    }
  }
}
