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
  readonly others: readonly Progress[];
  readonly #configuration: Configuration;
  readonly #progress = new Map<MemberId, Progress>();
  readonly #matchOf = (member: MemberId): number => this.#expect(member).match;
  readonly #readOf = (member: MemberId): number => this.#expect(member).readAcknowledged;
  readonly #activeOf = (member: MemberId): boolean => this.#expect(member).recentActive;

  /** The leader's own log ends at `lastIndex`; nothing is known of the others yet. */
  constructor(config: RaftConfig, configuration: Configuration, lastIndex: number) {
    this.#configuration = configuration;
    const learners = new Set(configuration.confState.learners);
    for (const member of configuration.members) {
      const inflights = new Inflights(config.maxInflightMessages, config.maxInflightBytes);
      this.#progress.set(member, new Progress(member, learners.has(member), lastIndex + 1, inflights));
    }
    this.self = this.#expect(config.id);
    this.self.recentActive = true;
    this.self.becomeReplicate();
    this.others = [...this.#progress.values()].filter((progress) => progress !== this.self);
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

  #expect(member: MemberId): Progress {
    const progress = this.#progress.get(member);
    assert(progress !== undefined, 'every member of the configuration has a progress');
    return progress;
  }
}
