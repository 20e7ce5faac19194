import { assert } from '../../platform/assert.js';
import { type ConfState, type MemberId, NO_MEMBER } from '../message.js';
import { type Electorate } from '../quorum/joint.js';

/**
 * The configuration in force, in the form in which the core asks it. Made from a {@link ConfState}, which is what is
 * stored.
 *
 * Invariants: at least one incoming voter; no member twice in one list; a learner votes in neither half; a next learner
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
    assertConsistent(confState);
    this.confState = confState;
    this.electorate = { incoming: confState.voters, outgoing: confState.outgoing };
    this.#voters = new Set([...confState.voters, ...confState.outgoing]);
    this.members = [...new Set([...this.#voters, ...confState.learners])];
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

function assertConsistent(confState: ConfState): void {
  const { voters, learners, outgoing, learnersNext } = confState;
  assert(voters.length > 0, 'a configuration has a voter');
  for (const list of [voters, learners, outgoing, learnersNext]) {
    assert(new Set(list).size === list.length, 'a configuration names no member twice in one list');
    assert(!list.includes(NO_MEMBER), 'a configuration does not name member 0');
  }
  for (const learner of learners) {
    assert(!voters.includes(learner), 'a learner is not an incoming voter');
    assert(!outgoing.includes(learner), 'a learner is not an outgoing voter');
  }
  for (const learner of learnersNext) {
    assert(outgoing.includes(learner), 'a next learner is an outgoing voter');
    assert(!voters.includes(learner), 'a next learner is not an incoming voter');
  }
  assert(outgoing.length > 0 || !confState.autoLeave, 'only a joint configuration leaves by itself');
}
