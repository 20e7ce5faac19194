import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SortedMap } from './sorted-map.js';

type Step = readonly ['with' | 'without', string];

/** Few keys, so that they meet; also those in which the order of units and that of code points differ. */
const key = fc.oneof(
  fc.integer({ min: 0, max: 60 }).map((n) => `services/registry/${n}`),
  fc.constantFrom('', 'a', 'Z', 'ä', '\u{1F600}', '￿', '__proto__'),
);
const steps = fc.array(fc.tuple(fc.constantFrom('with' as const, 'without' as const), key), {
  maxLength: 400,
});

const ascending = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function expectSame(map: SortedMap<number>, model: ReadonlyMap<string, number>): void {
  const wanted = [...model].sort(([a], [b]) => ascending(a, b));
  expect([...map]).toEqual(wanted);
  expect([...map.keys()]).toEqual(wanted.map(([name]) => name));
  expect([...map.values()]).toEqual(wanted.map(([, value]) => value));
  expect(map.size).toBe(model.size);
  const seen: [string, number][] = [];
  map.forEach((value, name, self) => {
    expect(self).toBe(map);
    seen.push([name, value]);
  });
  expect(seen).toEqual(wanted);
}

/** Depth of the deepest node. The shape is private to the file; a test of the balance must look at it. */
function depth(tree: unknown): number {
  if (typeof tree !== 'object' || tree === null) return 0;
  const { left, right } = tree as { readonly left?: unknown; readonly right?: unknown };
  return 1 + Math.max(depth(left), depth(right));
}

describe('sorted map', () => {
  it('says the same as a Map after any sequence of steps, and leaves every earlier map as it was', () => {
    const run = (list: readonly Step[]): void => {
      let map = SortedMap.of<number>();
      const model = new Map<string, number>();
      const earlier: { readonly map: SortedMap<number>; readonly content: string }[] = [];
      list.forEach(([step, name], at) => {
        if (at % 50 === 0) earlier.push({ map, content: JSON.stringify([...map]) });
        expect(map.has(name)).toBe(model.has(name));
        if (step === 'with') {
          map = map.with(name, at);
          model.set(name, at);
        } else {
          map = map.without(name);
          model.delete(name);
        }
        expect(map.get(name)).toBe(model.get(name));
      });
      expectSame(map, model);
      for (const kept of earlier) expect(JSON.stringify([...kept.map])).toBe(kept.content);
    };
    fc.assert(fc.property(steps, run), { numRuns: 300 });
  });

  it('is made from entries in any order; of equal keys the last one counts', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.integer())), (entries) => {
        expectSame(SortedMap.of(entries), new Map(entries));
      }),
    );
  });

  it('stays flat however it is changed, and shares what did not change', () => {
    const total = 20_000;
    let map = SortedMap.of<number>();
    for (let n = 0; n < total; n += 1) map = map.with(String(n).padStart(6, '0'), n);
    const bound = 2.41 * Math.log2(total);
    expect(depth(Reflect.get(map, 'root'))).toBeLessThan(bound);
    for (let n = 0; n < total; n += 1) if (n % 8 !== 0) map = map.without(String(n).padStart(6, '0'));
    expect(map.size).toBe(total / 8);
    expect(depth(Reflect.get(map, 'root'))).toBeLessThan(2.41 * Math.log2(total / 8));
    const nodes = (tree: unknown, found = new Set<unknown>()): Set<unknown> => {
      if (typeof tree !== 'object' || tree === null) return found;
      const { left, right } = tree as { readonly left?: unknown; readonly right?: unknown };
      nodes(left, found.add(tree));
      return nodes(right, found);
    };
    const before = nodes(Reflect.get(map, 'root'));
    const after = [...nodes(Reflect.get(map.with('000008', -1), 'root'))];
    expect(after.filter((node) => !before.has(node)).length).toBeLessThan(bound);
  });

  it('gives the same map when there is nothing to remove', () => {
    const map = SortedMap.of([['a', 1]]);
    expect(map.without('b')).toBe(map);
  });
});
