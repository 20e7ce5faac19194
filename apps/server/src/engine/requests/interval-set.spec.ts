import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { IntervalSet } from './interval-set.js';

const key = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd'), maxLength: 3 });
const interval = fc.tuple(key, fc.option(key, { nil: undefined }));

describe('IntervalSet', () => {
  it('answers as a list of intervals does', () => {
    fc.assert(
      fc.property(
        fc.array(interval, { maxLength: 12 }),
        fc.array(key, { maxLength: 20 }),
        (intervals, keys) => {
          const set = new IntervalSet();
          for (const [start, end] of intervals) set.add(start, end);
          for (const probe of keys) {
            const expected = intervals.some(
              ([start, end]) => start <= probe && (end === undefined || probe < end),
            );
            expect(set.has(probe)).toBe(expected);
          }
        },
      ),
    );
  });
});
