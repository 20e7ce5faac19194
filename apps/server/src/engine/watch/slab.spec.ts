import { describe, expect, it } from 'vitest';
import { SlabPool } from './slab.js';

describe('SlabPool', () => {
  it('gives a slab again once all of its chunks came back', () => {
    const pool = new SlabPool(100);
    const slab = pool.take(10);
    slab.start = slab.at = 60;
    slab.lend();
    slab.lend();
    expect(pool.take(50)).not.toBe(slab);
    slab.returned();
    expect(slab.isFree).toBe(false);
    slab.returned();
    const other = pool.take(50);
    other.lend();
    const again = [other, pool.take(50)];
    expect(again).toContain(slab);
    expect([slab.start, slab.at, slab.room]).toEqual([0, 0, 100]);
  });

  it('does not keep what is larger than a slab, and replaces what never comes back', () => {
    const pool = new SlabPool(100);
    expect(pool.take(101).room).toBe(101);
    const lost = Array.from({ length: 40 }, () => pool.take(1).lend());
    expect(new Set(lost).size).toBe(40);
    for (const slab of lost) slab.returned();
    const kept = Array.from({ length: 40 }, () => pool.take(1).lend());
    expect(kept.filter((slab) => lost.includes(slab))).toHaveLength(16);
  });

  it('a chunk that was not lent cannot come back', () => {
    const slab = new SlabPool(100).take(1);
    expect(() => slab.returned()).toThrow('only what was lent comes back');
  });
});
