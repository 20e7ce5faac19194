import { describe, expect, it } from 'vitest';
import { isEmptyRange, isInRange, rangeBounds } from './range-bounds.js';

describe('rangeBounds', () => {
  it('takes an empty range_end as one key', () => {
    const bounds = rangeBounds('a', '');
    expect(bounds).toEqual({ from: 'a', to: 'a\0', single: true });
    expect([isInRange(bounds, 'a'), isInRange(bounds, 'a\0'), isInRange(bounds, 'b')]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('takes \\0 as everything from the key on', () => {
    expect(rangeBounds('a', '\0')).toEqual({ from: 'a', to: undefined, single: false });
    expect(isInRange(rangeBounds('\0', '\0'), '\xff\xff')).toBe(true);
  });

  it('takes a range_end at or below the key as an empty range', () => {
    expect(isEmptyRange(rangeBounds('b', 'b'))).toBe(true);
    expect(isEmptyRange(rangeBounds('b', 'a'))).toBe(true);
    expect(isInRange(rangeBounds('b', 'a'), 'a')).toBe(false);
    expect(isEmptyRange(rangeBounds('b', 'ba'))).toBe(false);
  });
});
