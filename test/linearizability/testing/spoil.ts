import { type Draw } from '../../simulator/world/fate.js';
import { type StoreCall } from '../store-checker.js';
import { type StoreInput, type StoreOutput } from '../store-model.js';
import { type Facts, withSteps, type Read, type Written } from './facts.js';
import { plain } from './generate.js';
import { pair, precedes, readAs, type Spoiler } from './spoiler.js';
import { wideSpoilers } from './wide-spoilers.js';

/** Two writes of one key, one after the other, and a read behind both. */
function overwritten(facts: Facts, draw: Draw): [Written, Read] | undefined {
  return pair(draw, facts.writes, facts.reads, (older, read) =>
    facts.writes.some(
      (newer) =>
        newer.key === older.key &&
        older.key === read.key &&
        precedes(older.call, newer.call) &&
        precedes(newer.call, read.call),
    ),
  );
}

const readSpoilers: Spoiler[] = [
  {
    name: 'a value that nobody wrote',
    wide: false,
    spoil: (facts, draw) => readAs(facts, draw.pick(facts.reads), 'nobody', 1),
  },
  {
    name: 'a value that is written later',
    wide: false,
    spoil(facts, draw) {
      const found = pair(
        draw,
        facts.reads,
        facts.writes,
        (read, write) => read.key === write.key && precedes(read.call, write.call),
      );
      return found && readAs(facts, found[0], found[1].value, found[1].call.output!.revision);
    },
  },
  {
    name: 'a value that was overwritten',
    wide: false,
    spoil(facts, draw) {
      const found = overwritten(facts, draw);
      return found && readAs(facts, found[1], found[0].value, found[0].call.output!.revision);
    },
  },
  {
    name: 'no value where one was written and never deleted',
    wide: false,
    spoil(facts, draw) {
      const found = pair(
        draw,
        facts.reads,
        facts.writes,
        (read, write) =>
          read.key === write.key &&
          precedes(write.call, read.call) &&
          !facts.mayBeDeleted(write.key, write.call, read.call),
      );
      return found && readAs(facts, found[0], undefined, undefined);
    },
  },
  {
    name: 'a value that was deleted',
    wide: false,
    spoil(facts, draw) {
      const found = pair(draw, facts.reads, facts.writes, (read, write) =>
        facts.deletes.some(
          (gone) =>
            gone.key === write.key &&
            read.key === write.key &&
            precedes(write.call, gone.call) &&
            precedes(gone.call, read.call),
        ),
      );
      return found && readAs(facts, found[0], found[1].value, found[1].call.output!.revision);
    },
  },
  {
    name: 'a value, another one, and the first again',
    wide: false,
    spoil(facts, draw) {
      const { reads } = facts;
      const found = pair(
        draw,
        reads,
        reads,
        (first, last) =>
          first.value !== undefined &&
          reads.some(
            (middle) =>
              middle.key === first.key &&
              last.key === first.key &&
              middle.value !== first.value &&
              precedes(first.call, middle.call) &&
              precedes(middle.call, last.call),
          ),
      );
      return found && readAs(facts, found[1], found[0].value, found[0].mod);
    },
  },
  {
    name: 'a read sees less than an earlier one',
    wide: false,
    spoil(facts, draw) {
      const { reads, writes } = facts;
      const found = pair(
        draw,
        writes,
        reads,
        (older, late) =>
          older.key === late.key &&
          reads.some((early) => {
            const newer = writes.find(({ value }) => value === early.value);
            return (
              early.key === older.key &&
              newer !== undefined &&
              precedes(older.call, newer.call) &&
              precedes(early.call, late.call)
            );
          }),
      );
      return found && readAs(facts, found[1], found[0].value, found[0].call.output!.revision);
    },
  },
  {
    name: 'the version of another write',
    wide: false,
    spoil(facts, draw) {
      const found = pair(
        draw,
        facts.reads,
        facts.writes,
        (read, write) => write.value !== read.value && facts.writes.some(({ value }) => value === read.value),
      );
      return found && readAs(facts, found[0], found[0].value, found[1].call.output!.revision);
    },
  },
  {
    name: 'a read that ended before its write began',
    wide: false,
    spoil(facts, draw) {
      const found = pair(draw, facts.reads, facts.writes, (read, write) => read.value === write.value);
      if (found === undefined) return undefined;
      const [{ call }, write] = found;
      const { calledAt } = write.call;
      return facts.replace(call, { ...call, calledAt: calledAt - 0.002, returnedAt: calledAt - 0.001 });
    },
  },
];

const writeSpoilers: Spoiler[] = [
  {
    name: 'an acknowledged write that was never made is read',
    wide: false,
    spoil(facts, draw) {
      const found = pair(draw, facts.reads, facts.writes, (read, write) => read.value === write.value);
      return found && facts.replace(found[1].call);
    },
  },
  {
    name: 'a refused write is read',
    wide: false,
    spoil(facts, draw) {
      const found = pair(draw, facts.reads, facts.lostWrites, (read, write) => read.value === write.value);
      return found && facts.replace(found[1].call);
    },
  },
  {
    name: 'a delete of a key that never was',
    wide: false,
    spoil(facts, draw) {
      const { call } = draw.pick(facts.writes);
      return facts.replace(call, {
        ...call,
        input: plain({ kind: 'delete', key: 'never' }),
        output: { ...call.output!, succeeded: true, steps: [{ deleted: 1 }] },
      });
    },
  },
  {
    name: 'a delete that missed',
    wide: false,
    spoil(facts, draw) {
      const found = pair(
        draw,
        facts.deletes,
        facts.writes,
        (gone, write) =>
          gone.key === write.key &&
          precedes(write.call, gone.call) &&
          !facts.mayBeDeleted(write.key, write.call, gone.call),
      );
      return found && facts.replace(found[0].call, withSteps(found[0].call, [{ deleted: 0 }]));
    },
  },
];

const compareSpoilers: Spoiler[] = [
  {
    name: 'two exchanges of one version, one after the other',
    wide: false,
    spoil: (facts, draw) =>
      secondExchange(facts, draw, (call) => ({
        calledAt: call.returnedAt + 0.001,
        returnedAt: call.returnedAt + 0.002,
      })),
  },
  {
    name: 'two exchanges of one version at once',
    wide: false,
    spoil: (facts, draw) =>
      secondExchange(facts, draw, ({ calledAt, returnedAt }) => ({ calledAt, returnedAt })),
  },
  {
    name: 'an exchange of a version that was overwritten',
    wide: false,
    spoil(facts, draw) {
      const found = pair(draw, facts.exchanges, facts.writes, (exchange, older) =>
        facts.writes.some(
          (newer) =>
            newer.key === older.key &&
            older.key === exchange.key &&
            precedes(older.call, newer.call) &&
            precedes(newer.call, exchange.call),
        ),
      );
      if (found === undefined) return undefined;
      const [{ call, key }, older] = found;
      const input = { ...call.input, compares: [{ key, mod: older.call.output!.revision }] };
      return facts.replace(call, { ...call, input });
    },
  },
  {
    name: 'an exchange that fails although the version is the one it reads',
    wide: false,
    spoil(facts, draw) {
      const found = pair(
        draw,
        facts.exchanges,
        facts.writes,
        ({ call }, write) => call.input.compares[0].mod === write.call.output!.revision,
      );
      if (found === undefined) return undefined;
      const [{ call }, { value, call: write }] = found;
      const output: StoreOutput = {
        ...call.output!,
        succeeded: false,
        steps: [{ value, mod: write.output!.revision }],
      };
      return facts.replace(call, { ...call, output });
    },
  },
  {
    name: 'what a failed exchange would have written is read',
    wide: false,
    spoil(facts, draw) {
      const found = pair(
        draw,
        facts.failedExchanges,
        facts.reads,
        (failed, read) => failed.key === read.key && precedes(failed.call, read.call),
      );
      return found && readAs(facts, found[1], found[0].value, found[0].call.output!.revision + 1);
    },
  },
];

function secondExchange(
  facts: Facts,
  draw: Draw,
  when: (call: StoreCall) => { readonly calledAt: number; readonly returnedAt: number },
): StoreCall[] | undefined {
  const found = pair(
    draw,
    facts.exchanges,
    facts.writes,
    ({ call }, write) => call.input.compares[0].mod === write.call.output!.revision,
  );
  if (found === undefined) return undefined;
  const [{ call, key }] = found;
  const input: StoreInput = { ...call.input, success: [{ kind: 'put', key, value: 'again' }] };
  const output: StoreOutput = { ...call.output!, revision: call.output!.revision + 100_000 };
  return [...facts.history, { ...call, ...when(call), client: 99, input, output }];
}

export const spoilers: readonly Spoiler[] = [
  ...readSpoilers,
  ...writeSpoilers,
  ...compareSpoilers,
  ...wideSpoilers,
];
