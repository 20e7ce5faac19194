import { assert } from '../platform/assert.js';
import { Candidate } from './candidate.js';
import { Configuration } from './confchange/configuration.js';
import { assertConfig, type RaftConfig, type RecoveredState } from './config.js';
import { Follower } from './follower.js';
import { Leader } from './leader.js';
import { RaftLog } from './log.js';
import { type MemberId, type Message, NO_MEMBER, type PreVote, type Vote } from './message.js';
import { Outbox } from './outbox.js';
import { type Role } from './role.js';
import { Unstable } from './unstable.js';
import { isAcceptable, isAnswer } from './validate-message.js';
import { type ReadRejection, type ReadResult } from './work.js';

/** The range from which the number before the first forwarded read is drawn. */
const READ_REQUEST_RANGE = 2 ** 48;

/**
 * What the three roles share: term, vote, log, timers, the rules for terms and votes, and the way from role to role.
 *
 * Invariants: `term` never decreases; `vote` changes within a term only from none to a member; `leader` changes within
 * a term only between none and one member; a member that leads has its vote for itself in this term on disk.
 */
export class Raft {
  readonly config: RaftConfig;
  readonly configuration: Configuration;
  readonly log: RaftLog;
  readonly unstable: Unstable;
  readonly outbox = new Outbox();
  reads: ReadResult[] = [];
  /** Ticks since a leader was heard, a vote granted or (for a leader) a quorum confirmed. */
  electionElapsed = 0;
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
    this.configuration = new Configuration(recovered.confState);
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
    if (message.term < this.#term) return this.#answerLowerTerm(message);
    if (message.term > this.#term && !this.#admitHigherTerm(message)) return;
    if (message.kind === 'vote' || message.kind === 'pre-vote') this.#answerVote(message);
    else this.#role.step(message);
  }

  /** Starts a pre-vote, unless this member leads or may not vote. */
  campaign(): void {
    if (this.#role.name === 'leader' || !this.configuration.isVoter(this.id)) return;
    this.#leader = NO_MEMBER;
    const candidate = new Candidate(this, true);
    this.#enter(candidate);
    candidate.start();
  }

  /** The pre-vote was won: campaigns in the next term. */
  campaignForTerm(): void {
    assert(this.#role.name === 'pre-candidate', 'a pre-vote precedes every campaign');
    this.#beginTerm(this.#term + 1);
    this.#vote = this.id;
    const candidate = new Candidate(this, false);
    this.#enter(candidate);
    candidate.start();
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

  /** The leader is gone for certain; its lease on this member's vote ends with that. */
  forgetLeader(): void {
    this.#leader = NO_MEMBER;
  }

  /** Counts a tick of a member that does not lead; campaigns when the time is up. */
  tickElection(): void {
    this.electionElapsed += 1;
    if (this.electionElapsed >= this.#electionTimeout) {
      this.electionElapsed = 0;
      this.campaign();
    }
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
        if (this.#isInLease()) return false;
        this.becomeFollower(message.term, NO_MEMBER);
        return true;
      case 'pre-vote-reply':
        if (!message.granted) this.becomeFollower(message.term, NO_MEMBER);
        return message.granted;
      case 'append':
      case 'heartbeat':
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

  /** Raft 5.2 and 5.4.1. A pre-vote is granted under the same rules, but binds no one. */
  #answerVote(message: Vote | PreVote): void {
    const isPreVote = message.kind === 'pre-vote';
    const isFree = this.#vote === NO_MEMBER && this.#leader === NO_MEMBER;
    const mayVote = this.#vote === message.from || isFree || (isPreVote && message.term > this.#term);
    const granted = mayVote && this.log.isUpToDate(message.lastIndex, message.lastTerm);
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
}
