import { assert } from '../../platform/assert.js';
import { type Configuration } from '../confchange/configuration.js';
import { type RaftConfig } from '../config.js';
import { type MemberId } from '../message.js';
import { quorumIndex, quorumVote } from '../quorum/joint.js';
import { type MemberProgress } from '../status.js';
import { Inflights } from './inflights.js';
import { Progress } from './progress.js';

/** A leader's view of all members, and the quorum questions that it answers. */
export class Tracker {
  readonly self: Progress;
  /** Everyone but the leader itself. */
  others: readonly Progress[] = [];
  readonly #config: RaftConfig;
  #configuration: Configuration;
  readonly #progress = new Map<MemberId, Progress>();
  readonly #matchOf = (member: MemberId): number => this.#expect(member).match;
  readonly #readOf = (member: MemberId): number => this.#expect(member).readAcknowledged;
  readonly #activeOf = (member: MemberId): boolean => this.#expect(member).recentActive;

  /** The leader's own log ends at `lastIndex`; nothing is known of the others yet. */
  constructor(config: RaftConfig, configuration: Configuration, lastIndex: number) {
    this.#config = config;
    this.#configuration = configuration;
    this.#follow(lastIndex, false);
    this.self = this.#expect(config.id);
    this.self.recentActive = true;
    this.self.becomeReplicate();
    this.#listOthers();
  }

  /**
   * Another configuration is in force. What is known of members that stay is kept; new ones begin with nothing known,
   * and count as heard, so that the leader does not take the time until they start for the loss of its quorum. A leader
   * that is no member any more keeps its own progress, which counts no longer.
   */
  reconfigure(configuration: Configuration, lastIndex: number): void {
    this.#configuration = configuration;
    for (const member of this.#progress.keys()) {
      if (!configuration.isMember(member)) this.#progress.delete(member);
    }
    this.#follow(lastIndex, true);
    this.#listOthers();
  }

  get(member: MemberId): Progress | undefined {
    return this.#progress.get(member);
  }

  /** The highest index that is durable on a quorum, whatever its term. */
  quorumMatch(): number {
    return quorumIndex(this.#configuration.electorate, this.#matchOf);
  }

  /** The highest read round that a quorum has confirmed, the leader included. */
  quorumRead(): number {
    return quorumIndex(this.#configuration.electorate, this.#readOf);
  }

  /** Whether the leader and this member are a quorum, so that nobody else can have elected another leader. */
  isQuorumWith(member: MemberId): boolean {
    const voteOf = (voter: MemberId): true | undefined =>
      voter === member || voter === this.#config.id ? true : undefined;
    return quorumVote(this.#configuration.electorate, voteOf) === 'won';
  }

  /** Whether a quorum was heard from since the last call; the count begins anew. */
  takeQuorumActive(): boolean {
    const result = quorumVote(this.#configuration.electorate, this.#activeOf);
    for (const progress of this.others) progress.recentActive = false;
    return result === 'won';
  }

  status(): readonly MemberProgress[] {
    return [...this.#progress.values()].map((progress) => ({
      member: progress.member,
      isLearner: progress.isLearner,
      state: progress.state,
      match: progress.match,
      next: progress.next,
      recentActive: progress.recentActive,
      paused: progress.isPaused(),
      inflightMessages: progress.inflights.count,
      inflightBytes: progress.inflights.bytes,
    }));
  }

  #follow(lastIndex: number, isHeard: boolean): void {
    const { maxInflightMessages, maxInflightBytes } = this.#config;
    for (const member of this.#configuration.members) {
      const isLearner = this.#configuration.confState.learners.includes(member);
      const known = this.#progress.get(member);
      if (known !== undefined) known.isLearner = isLearner;
      else {
        const inflights = new Inflights(maxInflightMessages, maxInflightBytes);
        const progress = new Progress(member, isLearner, lastIndex + 1, inflights);
        progress.recentActive = isHeard;
        this.#progress.set(member, progress);
      }
    }
  }

  #listOthers(): void {
    this.others = [...this.#progress.values()].filter((progress) => progress !== this.self);
  }

  #expect(member: MemberId): Progress {
    const progress = this.#progress.get(member);
    assert(progress !== undefined, 'every member of the configuration has a progress');
    return progress;
  }
}
