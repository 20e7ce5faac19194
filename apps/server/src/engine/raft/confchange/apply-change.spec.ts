import { describe, expect, it } from 'vitest';
import { type ConfState, type MemberId } from '../message.js';
import { doQuorumsIntersect, electorateOf } from '../testing/config-model.js';
import { parseChange } from '../testing/transcript-change.js';
import { formatConfState } from '../testing/transcript-format.js';
import { applyChange } from './apply-change.js';
import { type ConfChange, type ConfChangeType, type SingleChange } from './conf-change.js';
import { Configuration } from './configuration.js';

const IDS: readonly MemberId[] = [1n, 2n, 3n, 4n];
const NOTHING: ConfState = { voters: [], learners: [], outgoing: [], learnersNext: [], autoLeave: false };

/** What becomes of a configuration, as transcripts print it, or the refusal. */
function outcome(conf: Partial<ConfState>, words: string): string {
  const result = applyChange({ ...NOTHING, ...conf }, parseChange(words.split(' ')));
  return result.refused ?? formatConfState(result.confState);
}

/** Every simple configuration of the members in `IDS`: each is a voter, a learner, or neither. */
function simpleConfigurations(): ConfState[] {
  const all: ConfState[] = [];
  for (let code = 0; code < 3 ** IDS.length; code += 1) {
    const digit = (at: number): number => Math.floor(code / 3 ** at) % 3;
    const voters = IDS.filter((_, at) => digit(at) === 1);
    const learners = IDS.filter((_, at) => digit(at) === 2);
    if (voters.length > 0) all.push({ ...NOTHING, voters, learners });
  }
  return all;
}

/** Every change of one, two or three members. */
function changes(): ConfChange[] {
  const types: ConfChangeType[] = ['add-voter', 'add-learner', 'remove'];
  const singles: SingleChange[] = IDS.flatMap((member) => types.map((type) => ({ type, member })));
  const lists: SingleChange[][] = [];
  for (const first of singles) {
    lists.push([first]);
    for (const second of singles) {
      if (second.member <= first.member) continue;
      lists.push([first, second]);
      for (const third of singles) if (third.member > second.member) lists.push([first, second, third]);
    }
  }
  return lists.map((list) => ({ changes: list, transition: 'auto', context: new Uint8Array(0) }));
}

const LEAVE: ConfChange = { changes: [], transition: 'auto', context: new Uint8Array(0) };

describe('applyChange', () => {
  it.each([
    ['adds a voter', { voters: [1n] }, '+2', '(1 2)'],
    ['adds a learner', { voters: [1n] }, '~2', '(1) learners (2)'],
    ['promotes a learner', { voters: [1n], learners: [2n] }, '+2', '(1 2)'],
    ['makes a voter a learner', { voters: [1n, 2n] }, '~2', '(1) learners (2)'],
    ['removes a voter', { voters: [1n, 2n] }, '-1', '(2)'],
    ['removes a learner', { voters: [1n], learners: [2n] }, '-2', '(1)'],
    ['changes several jointly', { voters: [1n, 2n] }, '+3 -2', '(1 3)&(1 2) auto'],
    ['changes one jointly when asked', { voters: [1n] }, '+2 implicit', '(1 2)&(1) auto'],
    ['stays joint when asked', { voters: [1n] }, '+2 explicit', '(1 2)&(1)'],
    ['keeps the vote of a new learner', { voters: [1n, 2n] }, '~2 +3', '(1 3)&(1 2) next (2) auto'],
    ['leaves', { voters: [1n], outgoing: [1n, 2n], learnersNext: [2n] }, 'leave', '(1) learners (2)'],
  ])('%s', (_name, conf, words, expected) => {
    expect(outcome(conf, words)).toBe(expected);
  });

  it.each([
    ['joint-in-force', { voters: [1n], outgoing: [1n, 2n] }, '+3'],
    ['not-joint', { voters: [1n] }, 'leave'],
    ['member-named-twice', { voters: [1n] }, '+2 -2'],
    ['member-named-twice', { voters: [1n] }, '+0'],
    ['already-voter', { voters: [1n] }, '+1'],
    ['already-learner', { voters: [1n], learners: [2n] }, '~2'],
    ['not-a-member', { voters: [1n] }, '-2'],
    ['no-voter-left', { voters: [1n] }, '-1'],
    ['no-voter-left', { voters: [1n] }, '~1'],
  ])('refuses: %s', (expected, conf, words) => {
    expect(outcome(conf, words)).toBe(expected);
  });

  it('leads from every configuration to consistent ones only, each of which shares a member of every quorum', () => {
    let joint = 0;
    for (const conf of simpleConfigurations()) {
      for (const change of changes()) {
        const entered = applyChange(conf, change);
        if (entered.refused !== undefined) continue;
        expect(() => new Configuration(entered.confState)).not.toThrow();
        const isSafe = doQuorumsIntersect(electorateOf(conf), electorateOf(entered.confState));
        if (!isSafe) expect.fail(`${formatConfState(conf)} to ${formatConfState(entered.confState)}`);
        if (entered.confState.outgoing.length === 0) continue;
        joint += 1;
        const left = applyChange(entered.confState, LEAVE);
        if (left.refused !== undefined) expect.fail('a joint configuration can be left');
        expect(() => new Configuration(left.confState)).not.toThrow();
        expect(doQuorumsIntersect(electorateOf(entered.confState), electorateOf(left.confState))).toBe(true);
      }
    }
    expect(joint).toBeGreaterThan(1000);
  });

  it('needs the joint step: without it there are quorums that have no member in common', () => {
    const before = electorateOf({ ...NOTHING, voters: [1n, 2n, 3n] });
    expect(doQuorumsIntersect(before, electorateOf({ ...NOTHING, voters: [1n, 4n, 5n] }))).toBe(false);
  });
});
