import { assert } from '../../platform/assert.js';
import { type ConfState, type MemberId, NO_MEMBER } from '../message.js';
import { type Electorate } from '../quorum/joint.js';

/**
 * The configuration in force, in the form in which the core asks it. Made from a {@link ConfState}, which is what is
 * stored.
 *
 * Invariants: at least one incoming voter, or no member at all (a member that has started to join knows of none, decides
 * nothing and never campaigns); no member twice in one list; a learner votes in neither half; a next learner
 * votes in the outgoing half (it steps back when the joint configuration ends); outside a joint configuration there are
 * no next learners.
 */
export class Configuration {
  readonly confState: ConfState;
  readonly electorate: Electorate;
  /** Every member once: voters of both halves, then learners. */
  readonly members: readonly MemberId[];
  readonly #voters: ReadonlySet<MemberId>;

  /** @throws AssertionError when the lists contradict each other. */
  constructor(confState: ConfState) {
    const contradiction = findContradiction(confState);
    assert(contradiction === undefined, contradiction ?? '');
    this.confState = confState;
    this.electorate = { incoming: confState.voters, outgoing: confState.outgoing };
    this.#voters = new Set([...confState.voters, ...confState.outgoing]);
    this.members = [...new Set([...this.#voters, ...confState.learners])];
  }

  /** True on a member that waits for the first state of the cluster that it joins. */
  get isEmpty(): boolean {
    return this.members.length === 0;
  }

  /** True for a voter that stays one when a joint configuration is left. */
  isLastingVoter(member: MemberId): boolean {
    return this.confState.voters.includes(member);
  }

  isMember(member: MemberId): boolean {
    return this.members.includes(member);
  }

  isVoter(member: MemberId): boolean {
    return this.#voters.has(member);
  }

  /** True when `member` alone decides, in both halves. */
  isSoleVoter(member: MemberId): boolean {
    return this.#voters.size === 1 && this.#voters.has(member);
  }
}

/** In what way the lists contradict each other, or undefined when they do not. */
export function findContradiction(confState: ConfState): string | undefined {
  const { voters, learners, outgoing, learnersNext, autoLeave } = confState;
  const lists = [voters, learners, outgoing, learnersNext];
  const isEmpty = lists.every((list) => list.length === 0);
  if (voters.length === 0 && !isEmpty) return 'a configuration has a voter';
  for (const list of lists) {
    if (new Set(list).size < list.length) return 'a configuration names no member twice in one list';
    if (list.includes(NO_MEMBER)) return 'a configuration does not name member 0';
  }
  for (const learner of learners) {
    if (voters.includes(learner)) return 'a learner is not an incoming voter';
    if (outgoing.includes(learner)) return 'a learner is not an outgoing voter';
  }
  for (const learner of learnersNext) {
    if (!outgoing.includes(learner)) return 'a next learner is an outgoing voter';
    if (voters.includes(learner)) return 'a next learner is not an incoming voter';
  }
  if (autoLeave && outgoing.length === 0) return 'only a joint configuration leaves by itself';
  return undefined;
}
