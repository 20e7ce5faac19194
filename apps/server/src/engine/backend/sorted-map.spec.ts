import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { SortedMap } from './sorted-map.js';

const key = fc.integer({ min: 0, max: 3000 }).map((number) => String(number).padStart(4, '0'));

it('holds what a plain map holds, in order, also when leaves split and vanish', () => {
  const change = fc.record({ key, run: fc.integer({ min: -400, max: 400 }) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 30 }), key, key, (changes, from, to) => {
      const map = new SortedMap<number>();
      const plain = new Map<string, number>();
      for (const [round, { key: start, run }] of changes.entries()) {
        for (let at = 0; at < Math.abs(run); at++) {
          const name = String((Number(start) + at * 7) % 3001).padStart(4, '0');
          if (run < 0) {
            expect(map.delete(name)).toBe(plain.get(name));
            plain.delete(name);
          } else {
            expect(map.set(name, round)).toBe(plain.get(name));
            plain.set(name, round);
          }
        }
      }
      expect(map.size).toBe(plain.size);
      for (const end of [to, undefined]) {
        const expected = [...plain]
          .filter(([name]) => name >= from && (end === undefined || name < end))
          .sort();
        expect(map.count(from, end)).toBe(expected.length);
        for (const reverse of [false, true]) {
          const rows: [string, number | undefined][] = [];
          for (const cursor = map.cursor(from, end, reverse); cursor.next();)
            rows.push([cursor.key, cursor.value]);
          expect(rows).toEqual(reverse ? [...expected].reverse() : expected);
        }
      }
      expect(map.get(from)).toBe(plain.get(from));
    }),
    { numRuns: 20 },
  );
});

it('fills its leaves when keys come in order', () => {
  const map = new SortedMap<number>();
  for (let at = 0; at < 10_000; at++) map.set(String(at).padStart(5, '0'), at);
  expect(map.count('', undefined)).toBe(10_000);
  expect(map.count('00100', '00200')).toBe(100);
});
