import { describe, expect, it } from 'vitest';
import { LeaseTerm } from './lease-term.js';

describe('LeaseTerm', () => {
  const clock = {
    monotonicMs: 0,
    wallMs: 0,
    monotonic: () => clock.monotonicMs,
    wall: () => clock.wallMs,
    setTimer: () => ({ cancel: () => undefined }),
  };
  const termAt = (monotonicMs: number, wallMs: number): LeaseTerm => {
    const term = new LeaseTerm(clock as never, 1_000, { monotonicMs: 0, wallMs: 0 }, 10_000);
    Object.assign(clock, { monotonicMs, wallMs });
    return term;
  };

  it('P3 is over when either clock says so', () => {
    expect(termAt(8_999, 8_999).over()).toBeUndefined();
    expect(termAt(9_000, 8_000).over()).toBe('lease-expired-local');
    expect(termAt(1_000, 9_000).over()).toBe('clock-jump');
  });

  it('P3 calls it a jump only when the clocks differ by more than time synchronisation makes them', () => {
    expect(termAt(8_999.6, 9_000).over()).toBe('lease-expired-local');
    expect(termAt(8_900, 9_000).over()).toBe('lease-expired-local');
    expect(termAt(8_899, 9_000).over()).toBe('clock-jump');
  });
});
