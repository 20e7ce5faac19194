import { type StoreCall } from '../store-checker.js';
import { type StepOutput, type StoreInput } from '../store-model.js';
import { changes, Facts } from './facts.js';
import { pair, precedes, readAs, shuffled, type Spoiler } from './spoiler.js';

/** Wrong histories of transactions over several keys. */
export const wideSpoilers: Spoiler[] = [
  {
    name: 'half of a transaction',
    wide: true,
    spoil(facts, draw) {
      for (const read of shuffled(draw, facts.reads)) {
        const write = facts.writes.find(({ value }) => value === read.value);
        if (write === undefined || write.call.input.success.length < 2) continue;
        const found = pair(
          draw,
          facts.reads,
          facts.writes,
          (other, older) =>
            other.call === read.call &&
            other.key !== read.key &&
            older.key === other.key &&
            write.call.input.success.some(({ key }) => key === older.key) &&
            precedes(older.call, write.call),
        );
        if (found !== undefined)
          return readAs(facts, found[0], found[1].value, found[1].call.output!.revision);
      }
      return undefined;
    },
  },
  {
    name: 'a compare that holds is said to fail',
    wide: true,
    noLost: true,
    spoil(facts, draw) {
      const [call] = shuffled(
        draw,
        facts.answered.filter(
          ({ input, output }) => input.compares.length > 0 && output!.succeeded && input.failure.length === 0,
        ),
      );
      return (
        call && facts.replace(call, { ...call, output: { ...call.output!, succeeded: false, steps: [] } })
      );
    },
  },
  {
    name: 'revisions against real time',
    wide: true,
    spoil(facts, draw) {
      const found = pair(
        draw,
        facts.answered,
        facts.answered,
        (a, b) => changes(a) && changes(b) && precedes(a, b),
      );
      if (found === undefined) return undefined;
      const [a, b] = found;
      const swapped = { ...a, output: { ...a.output!, revision: b.output!.revision } };
      return new Facts(facts.replace(a, swapped)).replace(b, {
        ...b,
        output: { ...b.output!, revision: a.output!.revision },
      });
    },
  },
  {
    name: 'one revision for two writes',
    wide: true,
    spoil(facts, draw) {
      const found = pair(draw, facts.answered, facts.answered, (a, b) => a !== b && changes(a) && changes(b));
      return (
        found &&
        facts.replace(found[1], {
          ...found[1],
          output: { ...found[1].output!, revision: found[0].output!.revision },
        })
      );
    },
  },
  {
    name: 'a read at a revision older than what was acknowledged',
    wide: true,
    spoil(facts, draw) {
      const found = pair(
        draw,
        facts.answered,
        facts.answered,
        (a, b) => changes(a) && !changes(b) && precedes(a, b),
      );
      return (
        found &&
        facts.replace(found[1], {
          ...found[1],
          output: { ...found[1].output!, revision: found[0].output!.revision - 1 },
        })
      );
    },
  },
  {
    name: 'two readers see two writes in different orders',
    wide: true,
    spoil: (facts) =>
      append(facts, (at) => [
        [{ compares: [], success: [{ kind: 'put', key: 'x', value: 'new x' }], failure: [] }, at + 1, [{}]],
        [{ compares: [], success: [{ kind: 'put', key: 'y', value: 'new y' }], failure: [] }, at + 2, [{}]],
        [bothKeys, at + 2, [{ value: 'new x', mod: at + 1 }, {}]],
        [bothKeys, at + 2, [{}, { value: 'new y', mod: at + 2 }]],
      ]),
  },
  {
    name: 'two transactions, each of which rules out the other',
    wide: true,
    spoil: (facts) =>
      append(facts, (at) => [
        [
          { compares: [{ key: 'x', mod: 0 }], success: [{ kind: 'put', key: 'y', value: 'y' }], failure: [] },
          at + 1,
          [{}],
        ],
        [
          { compares: [{ key: 'y', mod: 0 }], success: [{ kind: 'put', key: 'x', value: 'x' }], failure: [] },
          at + 2,
          [{}],
        ],
      ]),
  },
];

const bothKeys: StoreInput = {
  compares: [],
  success: [
    { kind: 'get', key: 'x' },
    { kind: 'get', key: 'y' },
  ],
  failure: [],
};

/** Calls at the same time behind all others, on keys of their own. */
function append(
  { history }: Facts,
  calls: (revision: number) => [input: StoreInput, revision: number, steps: StepOutput[]][],
): StoreCall[] {
  const returns = history.map(({ returnedAt }) => returnedAt).filter(Number.isFinite);
  const calledAt = Math.max(...returns) + 1;
  const last = Math.max(...history.map(({ output }) => output?.revision ?? 0));
  const more = calls(last + 1_000).map(([input, revision, steps], at): StoreCall => ({
    client: 100 + at,
    input,
    output: { revision, succeeded: true, steps },
    calledAt,
    returnedAt: calledAt + 1,
  }));
  return [...history, ...more];
}
