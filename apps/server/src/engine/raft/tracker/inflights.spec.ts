import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Inflights } from './inflights.js';

describe('Inflights', () => {
  it('behaves like a list of messages', () => {
    const step = fc.oneof(
      fc.record({ add: fc.integer({ min: 0, max: 60 }) }),
      fc.record({ freeUpTo: fc.integer({ min: 0, max: 80 }) }),
      fc.constant({ clear: true as const }),
    );
    const property = fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 200 }),
      fc.array(step, { maxLength: 120 }),
      (maxMessages, maxBytes, steps) => {
        const inflights = new Inflights(maxMessages, maxBytes);
        let list: { last: number; bytes: number }[] = [];
        let next = 1;
        for (const action of steps) {
          if ('add' in action) {
            if (!inflights.isFull()) {
              inflights.add(next, action.add);
              list.push({ last: next, bytes: action.add });
              next += 1;
            }
          } else if ('freeUpTo' in action) {
            inflights.freeUpTo(action.freeUpTo);
            list = list.filter(({ last }) => last > action.freeUpTo);
          } else {
            inflights.clear();
            list = [];
          }
          const bytes = list.reduce((sum, message) => sum + message.bytes, 0);
          expect(inflights.count).toBe(list.length);
          expect(inflights.bytes).toBe(bytes);
          expect(inflights.isFull()).toBe(
            list.length >= maxMessages || (list.length > 0 && bytes >= maxBytes),
          );
        }
      },
    );
    fc.assert(property, { numRuns: 300 });
  });

  it('refuses a message into a full window, and one that goes back', () => {
    const inflights = new Inflights(2, 1000);
    inflights.add(5, 10);
    expect(() => inflights.add(5, 10)).toThrow('go forward');
    inflights.add(6, 10);
    expect(() => inflights.add(7, 10)).toThrow('full window');
  });
});
