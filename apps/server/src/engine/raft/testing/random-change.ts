import { type ConfChange, type ConfTransition, type SingleChange } from '../confchange/conf-change.js';
import { type ConfState, type MemberId } from '../message.js';
import { type SeededRandom } from './seeded-random.js';

/** More voters than this are not added, so that small quorums stay common. */
const MAX_VOTERS = 5;

/**
 * A membership change that an operator could ask for in this configuration: mostly one that fits, now and then one that
 * the configuration or (context of 1) the state machine refuses. `strangers` were never members.
 */
export function randomChange(
  conf: ConfState,
  strangers: readonly MemberId[],
  random: SeededRandom,
): ConfChange {
  const context = new Uint8Array([random.oneIn(8) ? 1 : 0]);
  if (conf.outgoing.length > 0 || random.oneIn(15)) return { changes: [], transition: 'auto', context };
  const transition: ConfTransition = random.oneIn(3) ? random.pick(['explicit', 'implicit']) : 'auto';
  const count = random.oneIn(3) ? 2 + random.below(2) : 1;
  const changes: SingleChange[] = [];
  for (let left = count; left > 0; left -= 1) {
    const change = randomSingle(conf, strangers, random);
    if (!changes.some(({ member }) => member === change.member)) changes.push(change);
  }
  return { changes, transition, context };
}

function randomSingle(conf: ConfState, strangers: readonly MemberId[], random: SeededRandom): SingleChange {
  const { voters, learners } = conf;
  const mayAdd = voters.length < MAX_VOTERS;
  switch (random.below(6)) {
    case 0:
    case 1:
      if (mayAdd && strangers.length > 0) {
        return { type: random.oneIn(2) ? 'add-voter' : 'add-learner', member: random.pick(strangers) };
      }
      break;
    case 2:
    case 3:
      if (mayAdd && learners.length > 0) return { type: 'add-voter', member: random.pick(learners) };
      break;
    case 4:
      return { type: 'add-learner', member: random.pick(voters) };
    default:
      break;
  }
  return { type: 'remove', member: random.pick([...voters, ...learners]) };
}
