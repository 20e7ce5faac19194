import { describe, expect, it } from 'vitest';
import { Draw } from '../simulator/world/fate.js';
import { isLinearizable } from './exhaustive.js';
import { claimedRevisions, judgeStore, type StoreCall } from './store-checker.js';
import { StoreModel } from './store-model.js';
import { Facts } from './testing/facts.js';
import { generate, type Shape } from './testing/generate.js';
import { spoilers } from './testing/spoil.js';

const isFull = process.env.CONCLAVE_FULL === '1';
const histories = isFull ? 5_000 : 400;

function shapeOf(draw: Draw, wide: boolean, calls = draw.between(20, 250)): Shape {
  return {
    clients: draw.between(1, 8),
    calls,
    keys: draw.between(wide ? 2 : 1, 5),
    lost: draw.pick(wide ? [0, 0.01, 0.04] : [0, 0.02, 0.1]),
    wide,
  };
}

describe('the search for an order', () => {
  it.each([false, true])('finds one in every right history (over several keys: %s)', (wide) => {
    let lost = 0;
    let undecided = 0;
    for (let seed = 1; seed <= histories; seed++) {
      const draw = new Draw(seed * 7919);
      const history = generate(draw, shapeOf(draw, wide));
      lost += history.filter(({ output }) => output === undefined).length;
      const { verdict } = judgeStore(history);
      if (verdict === 'undecided') undecided++;
      else expect(verdict, `seed ${seed}`).toBe('linearizable');
    }
    expect(undecided).toBeLessThanOrEqual(histories / 1_000);
    expect(lost).toBeGreaterThan(histories / 2);
  });

  it.each(spoilers)('finds none where there is $name', ({ spoil, wide, noLost }) => {
    let spoiled = 0;
    for (let seed = 1; spoiled < (isFull ? 200 : 25); seed++) {
      expect(seed, 'histories that can be spoiled so are common').toBeLessThan(2_000);
      const draw = new Draw(seed * 104_729);
      const shape = shapeOf(draw, wide, draw.between(20, 120));
      const facts = new Facts(generate(draw, noLost === true ? { ...shape, lost: 0 } : shape));
      if (facts.reads.length === 0 || facts.writes.length === 0) continue;
      const history = spoil(facts, draw);
      if (history === undefined) continue;
      spoiled++;
      expect(judgeStore(history), `seed ${seed}`).toMatchObject({ verdict: 'violated' });
    }
  });

  it('agrees with trying everything, on small histories, right and wrong', () => {
    const verdicts = { linearizable: 0, violated: 0, undecided: 0 };
    for (let seed = 1; seed <= 5 * histories; seed++) {
      const draw = new Draw(seed * 15_485_863);
      const wide = draw.chance(0.5);
      const shape = { ...shapeOf(draw, wide, draw.between(2, 6)), keys: 2, lost: 0.25 };
      const history = garbled(generate(draw, shape), draw);
      const { verdict } = judgeStore(history);
      verdicts[verdict]++;
      expect(verdict === 'linearizable', `seed ${seed}`).toBe(everyOrder(history));
    }
    expect(verdicts.linearizable).toBeGreaterThan(histories / 2);
    expect(verdicts.violated).toBeGreaterThan(histories / 10);
    expect(verdicts.undecided).toBe(0);
  });

  it('says so when it gives up', () => {
    const draw = new Draw(1);
    const history = generate(draw, { clients: 4, calls: 60, keys: 1, lost: 0.2, wide: false });
    expect(judgeStore(history, 10).verdict).toBe('undecided');
  });

  it('names the calls that cannot be put in order', () => {
    const put: StoreCall = {
      client: 1,
      input: { compares: [], success: [{ kind: 'put', key: 'a', value: '1' }], failure: [] },
      output: { revision: 2, succeeded: true, steps: [{}] },
      calledAt: 0,
      returnedAt: 1,
    };
    const get: StoreCall = {
      client: 2,
      input: { compares: [], success: [{ kind: 'get', key: 'a' }], failure: [] },
      output: { revision: 2, succeeded: true, steps: [{}] },
      calledAt: 2,
      returnedAt: 3,
    };
    expect(judgeStore([put, get])).toMatchObject({ verdict: 'violated', ordered: 1, stuck: [get] });
  });
});

/** Exchanges two answers of one kind, or two times, half of the time: sometimes that is right, sometimes wrong. */
function garbled(history: StoreCall[], draw: Draw): StoreCall[] {
  if (draw.chance(0.3)) return history;
  const known = history.filter(({ output }) => output !== undefined);
  if (known.length < 2) return history;
  const a = draw.pick(known);
  const b = draw.pick(known);
  const isAlike =
    JSON.stringify(Object.keys(a.output!.steps[0] ?? {})) ===
    JSON.stringify(Object.keys(b.output!.steps[0] ?? {}));
  if (
    draw.chance(0.5) &&
    isAlike &&
    a.output!.steps.length === b.output!.steps.length &&
    a.output!.succeeded === b.output!.succeeded
  ) {
    return history.map((call) =>
      call === a ? { ...a, output: b.output } : call === b ? { ...b, output: a.output } : call,
    );
  }
  const { calledAt, returnedAt } = b;
  return history.map((call) => (call === a ? { ...a, calledAt, returnedAt } : call));
}

function everyOrder(history: StoreCall[]): boolean {
  const claimed = claimedRevisions(history);
  const keys = new Set(
    history.flatMap(({ input }) =>
      [...input.compares, ...input.success, ...input.failure].map(({ key }) => key),
    ),
  );
  const isWide = history.some(
    ({ input }) =>
      new Set([...input.compares, ...input.success, ...input.failure].map(({ key }) => key)).size !== 1,
  );
  if (isWide) return isLinearizable(new StoreModel(true, claimed), history);
  const model = new StoreModel(false, claimed);
  return [...keys].every((key) =>
    isLinearizable(
      model,
      history.filter(({ input }) => input.success[0].key === key),
    ),
  );
}
