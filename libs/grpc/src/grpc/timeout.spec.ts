import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatTimeout, parseTimeout } from './timeout.js';

describe('grpc-timeout', () => {
  it.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3_000],
    ['250m', 250],
    ['1500u', 1.5],
    ['0n', 0],
    ['99999999n', 99.999999],
  ])('reads %s', (value, milliseconds) => {
    expect(parseTimeout(value)).toBeCloseTo(milliseconds, 6);
  });

  it.each(['', '1', 'S', '1s', '-1S', '1.5S', '123456789S', ' 1S', '1S '])('refuses %j', (value) => {
    expect(parseTimeout(value)).toBeUndefined();
  });

  it('writes the finest unit that fits', () => {
    expect(formatTimeout(1.5)).toBe('1500u');
    expect(formatTimeout(100_000)).toBe('100000m');
    expect(formatTimeout(0)).toBe('0u');
    expect(formatTimeout(-5)).toBe('0u');
    expect(formatTimeout(Number.MAX_VALUE)).toBe('99999999H');
  });

  it('never shortens what was asked, and lengthens by less than a thousandth and a microsecond', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 3.5e14, noNaN: true }), (asked) => {
        const read = parseTimeout(formatTimeout(asked)) as number;
        expect(read).toBeGreaterThanOrEqual(asked * (1 - 1e-12));
        expect(read).toBeLessThanOrEqual(asked * 1.001 + 0.0011);
      }),
    );
  });
});
