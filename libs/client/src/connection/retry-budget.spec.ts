import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../testing/virtual-clock.js';
import { RetryBudget } from './retry-budget.js';

const taken = (budget: RetryBudget, tries: number): number =>
  Array.from({ length: tries }, () => budget.take()).filter((isGranted) => isGranted).length;

describe('retry budget', () => {
  it('gives so many repeats a second, and keeps what was not used for ten', async () => {
    const clock = new VirtualClock();
    const budget = new RetryBudget(10, clock);
    expect(taken(budget, 200)).toBe(100);
    await clock.advance(500);
    expect(taken(budget, 200)).toBe(5);
    await clock.advance(3_600_000);
    expect(taken(budget, 200)).toBe(100);
  });

  it('0 gives none', async () => {
    const clock = new VirtualClock();
    const budget = new RetryBudget(0, clock);
    await clock.advance(60_000);
    expect(taken(budget, 5)).toBe(0);
  });

  it('collects parts of a repeat', async () => {
    const clock = new VirtualClock();
    const budget = new RetryBudget(0.5, clock);
    expect(taken(budget, 10)).toBe(5);
    await clock.advance(1_000);
    expect(budget.take()).toBe(false);
    await clock.advance(1_000);
    expect(budget.take()).toBe(true);
  });
});
