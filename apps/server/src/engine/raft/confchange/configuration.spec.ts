import { describe, expect, it } from 'vitest';
import { type ConfState } from '../message.js';
import { Configuration } from './configuration.js';

function stateOf(part: Partial<ConfState>): ConfState {
  return { voters: [1n], learners: [], outgoing: [], learnersNext: [], autoLeave: false, ...part };
}

describe('Configuration', () => {
  it('lists every member once', () => {
    const configuration = new Configuration(
      stateOf({ voters: [1n, 2n], outgoing: [2n, 3n], learners: [4n], learnersNext: [3n] }),
    );
    expect(configuration.members).toEqual([1n, 2n, 3n, 4n]);
    expect([1n, 2n, 3n, 4n, 5n].map((id) => configuration.isVoter(id))).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  it('has a sole voter only when no other votes in either half', () => {
    expect(new Configuration(stateOf({ learners: [2n] })).isSoleVoter(1n)).toBe(true);
    expect(new Configuration(stateOf({ learners: [2n] })).isSoleVoter(2n)).toBe(false);
    expect(new Configuration(stateOf({ outgoing: [1n, 2n] })).isSoleVoter(1n)).toBe(false);
    expect(new Configuration(stateOf({ outgoing: [1n] })).isSoleVoter(1n)).toBe(true);
  });

  it('may be empty, on a member that has only started to join', () => {
    const configuration = new Configuration(stateOf({ voters: [] }));
    expect(configuration).toMatchObject({ isEmpty: true, members: [] });
    expect(configuration.isVoter(1n)).toBe(false);
  });

  it.each([
    ['members without a voter', { voters: [], learners: [2n] }],
    ['a voter twice', { voters: [1n, 1n] }],
    ['member 0', { voters: [0n] }],
    ['a learner that votes', { learners: [1n] }],
    ['a learner that votes in the outgoing half', { outgoing: [2n], learners: [2n] }],
    ['a next learner that does not vote', { outgoing: [1n], learnersNext: [2n] }],
    ['a next learner that stays a voter', { outgoing: [1n], learnersNext: [1n] }],
    ['auto-leave outside a joint configuration', { autoLeave: true }],
  ])('refuses %s', (_name, part) => {
    expect(() => new Configuration(stateOf(part))).toThrow('invariant broken');
  });
});
