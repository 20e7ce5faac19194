import { type ConfState, type Entry, type MemberId } from '../message.js';
import { type Electorate, quorumVote } from '../quorum/joint.js';
import { confStateAfter } from './simulated-machine.js';

/** The configurations that the committed log amounts to, found without the core's bookkeeping. */
export class ConfigModel {
  readonly #history: { readonly index: number; readonly confState: ConfState }[];

  constructor(initial: ConfState) {
    this.#history = [{ index: 0, confState: initial }];
  }

  /** How many changes took effect. */
  get changes(): number {
    return this.#history.length - 1;
  }

  /** In force once `index` is applied. */
  at(index: number): ConfState {
    for (let at = this.#history.length - 1; at > 0; at -= 1) {
      if (this.#history[at]!.index <= index) return this.#history[at]!.confState;
    }
    return this.#history[0]!.confState;
  }

  /** The next committed entry. Returns false when quorums before and after it could decide without each other. */
  committed(entry: Entry): boolean {
    const before = this.at(entry.index);
    const after = confStateAfter(before, entry);
    if (after === before) return true;
    this.#history.push({ index: entry.index, confState: after });
    return doQuorumsIntersect(electorateOf(before), electorateOf(after));
  }

  /** Whether the member was ever in a configuration that took effect. */
  wasMember(member: MemberId): boolean {
    return this.#history.some(({ confState: { voters, learners, outgoing } }) =>
      [voters, learners, outgoing].some((list) => list.includes(member)),
    );
  }
}

export function electorateOf({ voters, outgoing }: ConfState): Electorate {
  return { incoming: voters, outgoing };
}

export function isQuorum(electorate: Electorate, members: (member: MemberId) => boolean): boolean {
  return quorumVote(electorate, members) === 'won';
}

/** By definition: tries every set of members. O(2^members). */
export function doQuorumsIntersect(left: Electorate, right: Electorate): boolean {
  const all = [...new Set([...left.incoming, ...left.outgoing, ...right.incoming, ...right.outgoing])];
  for (let set = 0; set < 2 ** all.length; set += 1) {
    const isIn = (member: MemberId): boolean => (set & (1 << all.indexOf(member))) !== 0;
    if (isQuorum(left, isIn) && isQuorum(right, (member) => !isIn(member))) return false;
  }
  return true;
}
