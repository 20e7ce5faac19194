import { type ConfState, type MemberId, NO_MEMBER } from '../message.js';
import { type ConfChange, type SingleChange } from './conf-change.js';

/**
 * Why a change does not fit the configuration that it meets. The same change meets the same configuration on every
 * member, so it is refused by all or by none.
 *
 * - `joint-in-force`: a joint configuration has to be left first.
 * - `not-joint`: there is no joint configuration to leave.
 * - `member-named-twice`: one change names a member more than once, or member 0.
 * - `already-voter`, `already-learner`, `not-a-member`: nothing to change for a member.
 * - `no-voter-left`: nobody could decide anything any more.
 */
export type ConfChangeRefusal =
  | 'joint-in-force'
  | 'not-joint'
  | 'member-named-twice'
  | 'already-voter'
  | 'already-learner'
  | 'not-a-member'
  | 'no-voter-left';

export type ConfChangeResult =
  { readonly confState: ConfState; readonly refused?: undefined } | { readonly refused: ConfChangeRefusal };

/** Lists that a change works on; `learnersNext` is filled only on the way into a joint configuration. */
interface Draft {
  readonly voters: MemberId[];
  readonly learners: MemberId[];
  readonly learnersNext: MemberId[];
  readonly outgoing: readonly MemberId[];
}

/**
 * The configuration after `change`, or why there is none. Pure, so that a proposer can ask before it proposes.
 *
 * A change at once alters one member, so that each majority of the old voters has a member in common with each of the
 * new ones (thesis 4.1). Several go through a joint configuration, where both majorities decide (thesis 4.3); voters
 * that become learners keep their vote in the outgoing half until it is left.
 */
export function applyChange(confState: ConfState, change: ConfChange): ConfChangeResult {
  const { changes, transition } = change;
  const isJoint = confState.outgoing.length > 0;
  if (changes.length === 0) return isJoint ? { confState: leaveJoint(confState) } : { refused: 'not-joint' };
  if (isJoint) return { refused: 'joint-in-force' };
  const named = new Set(changes.map(({ member }) => member));
  if (named.size < changes.length || named.has(NO_MEMBER)) return { refused: 'member-named-twice' };
  const isThroughJoint = transition !== 'auto' || changes.length > 1;
  const draft: Draft = {
    voters: [...confState.voters],
    learners: [...confState.learners],
    learnersNext: [],
    outgoing: isThroughJoint ? confState.voters : [],
  };
  for (const single of changes) {
    const refused = applySingle(draft, single);
    if (refused !== undefined) return { refused };
  }
  if (draft.voters.length === 0) return { refused: 'no-voter-left' };
  return { confState: { ...draft, autoLeave: isThroughJoint && transition !== 'explicit' } };
}

function leaveJoint({ voters, learners, learnersNext }: ConfState): ConfState {
  const all = [...learners, ...learnersNext];
  return { voters, learners: all, outgoing: [], learnersNext: [], autoLeave: false };
}

function applySingle(draft: Draft, { type, member }: SingleChange): ConfChangeRefusal | undefined {
  const { voters, learners, learnersNext, outgoing } = draft;
  switch (type) {
    case 'add-voter':
      if (voters.includes(member)) return 'already-voter';
      take(learners, member);
      voters.push(member);
      return undefined;
    case 'add-learner':
      if (learners.includes(member)) return 'already-learner';
      take(voters, member);
      (outgoing.includes(member) ? learnersNext : learners).push(member);
      return undefined;
    case 'remove':
      return take(voters, member) || take(learners, member) ? undefined : 'not-a-member';
  }
}

/** Removes the member from the list; whether it was there. */
function take(list: MemberId[], member: MemberId): boolean {
  const at = list.indexOf(member);
  if (at < 0) return false;
  list.splice(at, 1);
  return true;
}
