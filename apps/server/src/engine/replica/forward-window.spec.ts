import { describe, expect, it } from 'vitest';
import { ForwardWindow } from './forward-window.js';

describe('ForwardWindow', () => {
  it('takes each number of each process once, in any order', () => {
    const window = new ForwardWindow();
    const taken = [5, 3, 5, 4, 3, 6].map((number) => window.take(1n, 7n, number));
    expect(taken).toEqual([true, true, false, true, false, true]);
    expect(window.take(1n, 8n, 5)).toBe(true);
    expect(window.take(2n, 7n, 5)).toBe(true);
  });

  it('begins anew with a term', () => {
    const window = new ForwardWindow();
    expect(window.take(1n, 7n, 1)).toBe(true);
    window.clear();
    expect(window.take(1n, 7n, 1)).toBe(true);
  });

  it('never takes a number twice, however many came between', () => {
    const window = new ForwardWindow();
    let taken = 0;
    for (let number = 2; number < 300_000; number += 2) if (window.take(1n, 1n, number)) taken++;
    expect(taken).toBe(149_999);
    for (const number of [2, 1_000, 150_000, 200_000, 299_998])
      expect(window.take(1n, 1n, number)).toBe(false);
    // Far behind, nobody knows any more: it counts as used.
    expect(window.take(1n, 1n, 3)).toBe(false);
    expect(window.take(1n, 1n, 299_999)).toBe(true);
  });
});
