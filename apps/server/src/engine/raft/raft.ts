import { assert } from '../platform/assert.js';
import { Candidate } from './candidate.js';
import { applyChange } from './confchange/apply-change.js';
import { type ConfChange } from './confchange/conf-change.js';
import { Configuration } from './confchange/configuration.js';
import { assertConfig, type RaftConfig, type RecoveredState } from './config.js';
import { Follower } from './follower.js';
import { Leader } from './leader.js';
import { RaftLog } from './log.js';
import {
  type Committed,
  type ConfState,
  type MemberId,
  type Message,
  NO_MEMBER,
  type PreVote,
  type Snapshot,
  type Vote,
} from './message.js';
import { Outbox } from './outbox.js';
import { type Role } from './role.js';
import { Unstable } from './unstable.js';
import { isAcceptable, isAnswer } from './validate-message.js';
import { type ReadRejection, type ReadResult, type SnapshotInstall, type SnapshotRequest } from './work.js';

/** The range from which the number before the first forwarded read is drawn. */
const READ_REQUEST_RANGE = 2 ** 48;

/**
 * What the three roles share: term, vote, log, timers, the rules for terms and votes, and the way from role to role.
 *
 * Invariants: `term` never decreases; `vote` changes within a term only from none to a member; `leader` changes within
 * a term only between none and one member; a member that leads has its vote for itself in this term on disk. The
 * configuration in force is that of the last membership change that was applied, or of the last state installed.
 */
export class Raft {
  readonly config: RaftConfig;
  readonly log: RaftLog;
  readonly unstable: Unstable;
  readonly outbox = new Outbox();
  reads: ReadResult[] = [];
  /** Members that the host is to send a state; it was not told of them yet. */
  snapshots: SnapshotRequest[] = [];
  /** The state that the host is to install; it was not told of it yet. */
  install: SnapshotInstall | undefined;
  /** Ticks since a leader was heard, a vote granted or (for a leader) a quorum confirmed. */
  electionElapsed = 0;
  #configuration: Configuration;
  /** The state that takes the place of log and state machine, from its arrival until it is durable. */
  #installing: SnapshotInstall | undefined;
  #term: number;
  #vote: MemberId;
  #leader: MemberId = NO_MEMBER;
  #role: Role;
  #electionTimeout = 0;
  #refusedMessages = 0;
  #lastReadRequest: number;
  /** The leader of `#term` as far as it was ever known, to notice two of them. */
  #leaderOfTerm: MemberId = NO_MEMBER;

  /** @throws AssertionError when the recovered state contradicts itself. */
  constructor(config: RaftConfig, recovered: RecoveredState) {
    assertConfig(config);
    const { hardState, applied } = recovered;
    const commit = Math.max(hardState.commit, applied);
    this.config = config;
    this.#configuration = new Configuration(recovered.confState);
    this.log = new RaftLog(
      recovered.snapshotIndex,
      recovered.snapshotTerm,
      recovered.entries,
      commit,
      applied,
    );
    // A torn batch may have kept entries of a term without its hard state; no vote of that term has left then.
    const isTorn = this.log.lastTerm > hardState.term;
    this.#term = isTorn ? this.log.lastTerm : hardState.term;
    this.#vote = isTorn ? NO_MEMBER : hardState.vote;
    this.unstable = new Unstable(this.log.lastIndex, { ...hardState, commit });
    this.#lastReadRequest = config.random.below(READ_REQUEST_RANGE);
    this.#role = new Follower(this);
    this.#restartElectionTimer();
  }

  get id(): MemberId {
    return this.config.id;
  }
  get term(): number {
    return this.#term;
  }
  get vote(): MemberId {
    return this.#vote;
  }
  get leader(): MemberId {
    return this.#leader;
  }
  get configuration(): Configuration {
    return this.#configuration;
  }
  get isInstalling(): boolean {
    return this.#installing !== undefined;
  }
  get role(): Role {
    return this.#role;
  }
  get refusedMessages(): number {
    return this.#refusedMessages;
  }

  step(message: Message): void {
    if (!isAcceptable(message, this.id)) return this.refuseMessage();
    // Only members were asked. A request may come from one that this member's configuration does not name yet.
    if (isAnswer(message) && !this.configuration.isMember(message.from)) return this.refuseMessage();
    const isOfEveryTerm = message.kind === 'snapshot' || message.kind === 'committed';
    if (message.term < this.#term && !isOfEveryTerm) return this.#answerLowerTerm(message);
    if (message.term > this.#term && !this.#admitHigherTerm(message)) return;
    if (message.kind === 'vote' || message.kind === 'pre-vote') this.#answerVote(message);
    else this.#role.step(message);
  }

  /** Starts a pre-vote, unless this member leads or may not campaign. */
  campaign(): void {
    if (!this.#mayCampaign()) return;
    this.#leader = NO_MEMBER;
    const candidate = new Candidate(this, 'pre-vote');
    this.#enter(candidate);
    candidate.start();
  }

  /** The pre-vote was won: campaigns in the next term. */
  campaignForTerm(): void {
    assert(this.#role.name === 'pre-candidate', 'a pre-vote precedes every campaign');
    this.#campaignWith(new Candidate(this, 'vote'));
  }

  /** The leader hands over: campaigns in the next term, without asking first (thesis 3.10). */
  takeOver(): void {
    if (this.#mayCampaign()) this.#campaignWith(new Candidate(this, 'transfer'));
  }

  /**
   * The state machine decided on a membership change, undefined: against it. A change that does not fit is refused here
   * as well; both are the same on every member.
   */
  applyConfChange(change: ConfChange | undefined): ConfState {
    this.log.configDecided();
    const { confState } = this.#configuration;
    const result = change === undefined ? undefined : applyChange(confState, change);
    if (result === undefined || result.refused !== undefined) return confState;
    this.#configuration = new Configuration(result.confState);
    this.#role.reconfigured();
    return result.confState;
  }

  /** A state that goes beyond the log takes its place; nothing of it counts before `installed`. */
  beginInstall({ index, snapshotTerm: term, confState }: Snapshot): void {
    assert(this.#installing === undefined, 'states are installed one after the other');
    this.log.restartAt(index, term);
    this.unstable.restartAt(index);
    this.outbox.clear();
    this.#installing = { index, term, confState };
    this.install = this.#installing;
  }

  /** The state is durable, and so is the log that begins behind it: its configuration comes into force with it. */
  installed(index: number): void {
    const state = this.#installing;
    assert(state !== undefined && state.index === index, `a state at ${index} is being installed`);
    assert(this.install === undefined, 'the host was told what to install');
    this.log.restarted();
    this.unstable.restarted();
    this.#configuration = new Configuration(state.confState);
    this.#installing = undefined;
    this.outbox.release();
    this.#role.reconfigured();
  }

  becomeLeader(): void {
    assert(this.#role.name === 'candidate', 'only a candidate becomes leader');
    assert(this.#leaderOfTerm === NO_MEMBER, 'a term has one leader');
    const { durableHardState } = this.unstable;
    assert(durableHardState.term === this.#term, 'the leader of a term has it on disk');
    assert(durableHardState.vote === this.id, 'the leader has its own vote on disk');
    this.#leader = this.id;
    this.#leaderOfTerm = this.id;
    const leader = new Leader(this);
    this.#enter(leader);
    leader.start();
  }

  /** Follows `leader` (0n when unknown) in `term`, which is not below the current one. */
  becomeFollower(term: number, leader: MemberId): void {
    assert(term >= this.#term, 'the term never decreases');
    if (term > this.#term) this.#beginTerm(term);
    this.#leader = NO_MEMBER;
    if (leader !== NO_MEMBER) this.follow(leader);
    this.#enter(new Follower(this));
  }

  /** A message of this term came from its leader. */
  follow(leader: MemberId): void {
    const isConsistent = this.#leaderOfTerm === NO_MEMBER || this.#leaderOfTerm === leader;
    assert(isConsistent, 'a term has one leader');
    this.#leaderOfTerm = leader;
    this.#leader = leader;
  }

  /** An entry is committed, if this log has it. Whoever campaigns by a configuration that is over thereby, stops. */
  learnCommit({ index, entryTerm }: Committed): void {
    if (this.isInstalling || !this.log.matches(index, entryTerm)) return;
    this.log.commitTo(index);
    const isFollower = this.#role.name === 'follower';
    if (!isFollower && this.log.hasCommittedConfig) this.becomeFollower(this.#term, NO_MEMBER);
  }

  /** The leader is gone for certain; its lease on this member's vote ends with that. */
  forgetLeader(): void {
    this.#leader = NO_MEMBER;
  }

  /** Counts a tick of a member that does not lead; campaigns when the time is up. */
  tickElection(): void {
    this.electionElapsed += 1;
    if (this.electionElapsed < this.#electionTimeout) return;
    this.electionElapsed = 0;
    if (this.#mayCampaign()) this.campaign();
    else if (this.#leader !== NO_MEMBER) this.becomeFollower(this.#term, NO_MEMBER);
  }

  /**
   * A number for a forwarded read, never used twice. The first of a life is drawn by chance, because an answer to a
   * read of the former life may still be on its way.
   */
  nextReadRequest(): number {
    this.#lastReadRequest += 1;
    return this.#lastReadRequest;
  }

  /** A message that no correct member sends was dropped. */
  refuseMessage(): void {
    this.#refusedMessages += 1;
  }

  rejectRead(request: bigint | number, reason: ReadRejection): void {
    this.reads.push({ kind: 'rejected', request, reason });
  }

  /** Who may not vote, has a membership change to apply first, or has no state at hand, leaves it to others. */
  #mayCampaign(): boolean {
    if (this.#role.name === 'leader' || !this.#configuration.isVoter(this.id)) return false;
    return this.#installing === undefined && !this.log.hasCommittedConfig;
  }

  #campaignWith(candidate: Candidate): void {
    this.#beginTerm(this.#term + 1);
    this.#vote = this.id;
    this.#enter(candidate);
    candidate.start();
  }

  #beginTerm(term: number): void {
    this.#term = term;
    this.#vote = NO_MEMBER;
    this.#leader = NO_MEMBER;
    this.#leaderOfTerm = NO_MEMBER;
  }

  #enter(role: Role): void {
    const former = this.#role;
    this.#role = role;
    this.outbox.clear();
    this.#restartElectionTimer();
    former.leave();
  }

  #restartElectionTimer(): void {
    const { electionTicks, random } = this.config;
    this.electionElapsed = 0;
    this.#electionTimeout = electionTicks + random.below(electionTicks);
  }

  /** A request of a past term is answered so that its sender learns of this one; anything else has lost its meaning. */
  #answerLowerTerm(message: Message): void {
    switch (message.kind) {
      case 'append':
      case 'heartbeat':
      case 'vote':
      case 'pre-vote':
      case 'read-index':
        this.outbox.send({ kind: 'stale-term', from: this.id, to: message.from, term: this.#term });
        break;
      default:
        break;
    }
  }

  /** Follows a higher term where the rules say so. Returns false when the message is to be ignored. */
  #admitHigherTerm(message: Message): boolean {
    switch (message.kind) {
      case 'pre-vote':
        return !this.#isInLease();
      case 'vote':
        if (this.#isInLease() && !this.#isHandedOver(message)) return false;
        this.becomeFollower(message.term, NO_MEMBER);
        return true;
      case 'pre-vote-reply':
        if (!message.granted) this.becomeFollower(message.term, NO_MEMBER);
        return message.granted;
      case 'append':
      case 'heartbeat':
      case 'timeout-now':
        this.becomeFollower(message.term, message.from);
        return true;
      default:
        this.becomeFollower(message.term, NO_MEMBER);
        return true;
    }
  }

  /** Check-quorum's other half: who heard a leader within the election timeout helps no one to depose it (thesis 4.2.3). */
  #isInLease(): boolean {
    return this.#leader !== NO_MEMBER && this.electionElapsed < this.config.electionTicks;
  }

  /** The leader itself gives way. Only a voter can be its heir, so that a member that was removed disturbs no one. */
  #isHandedOver(message: Vote): boolean {
    return message.transfer && this.#configuration.isVoter(message.from);
  }

  /** Raft 5.2 and 5.4.1. A pre-vote is granted under the same rules, but binds no one. */
  #answerVote(message: Vote | PreVote): void {
    const isPreVote = message.kind === 'pre-vote';
    const isFree = this.#vote === NO_MEMBER && this.#leader === NO_MEMBER;
    const mayVote = this.#vote === message.from || isFree || (isPreVote && message.term > this.#term);
    const granted = mayVote && this.log.isUpToDate(message.lastIndex, message.lastTerm);
    if (!granted) this.#tellCommit(message.from, message.lastIndex);
    if (isPreVote) {
      const term = granted ? message.term : this.#term;
      this.outbox.send({ kind: 'pre-vote-reply', from: this.id, to: message.from, term, granted });
      return;
    }
    if (granted) {
      this.#vote = message.from;
      this.electionElapsed = 0;
    }
    this.outbox.send({ kind: 'vote-reply', from: this.id, to: message.from, term: this.#term, granted });
  }

  /** The last entry up to `lastIndex` that is known to be committed. */
  #tellCommit(to: MemberId, lastIndex: number): void {
    const index = Math.min(this.log.commit, lastIndex);
    if (index === 0 || !this.log.knows(index)) return;
    const entryTerm = this.log.termAt(index);
    this.outbox.send({ kind: 'committed', from: this.id, to, term: this.#term, index, entryTerm });
  }
}
