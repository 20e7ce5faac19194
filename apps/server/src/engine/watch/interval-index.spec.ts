import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IntervalIndex } from './interval-index.js';

type Step = { readonly adds: boolean; readonly from: string; readonly to: string | undefined };

const key = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '\0', '\xff'), minLength: 1, maxLength: 3 });
const step: fc.Arbitrary<Step> = fc.record({
  adds: fc.boolean(),
  from: key,
  to: fc.option(key, { nil: undefined }),
});

/** A list that is searched from front to back. */
class BruteForce {
  private readonly intervals = new Map<string, { from: string; to: string | undefined; value: number }>();

  set(from: string, to: string | undefined, value: number): void {
    this.intervals.set(JSON.stringify([from, to ?? null]), { from, to, value });
  }

  delete(from: string, to: string | undefined): boolean {
    return this.intervals.delete(JSON.stringify([from, to ?? null]));
  }

  collect(at: string): number[] {
    const found = [...this.intervals.values()].filter(
      ({ from, to }) => from <= at && (to === undefined || at < to),
    );
    return found.map(({ value }) => value).sort((left, right) => left - right);
  }

  get size(): number {
    return this.intervals.size;
  }
}

describe('IntervalIndex', () => {
  it('finds what a list finds, after any insertions and deletions', () => {
    const runs = fc.property(
      fc.array(step, { maxLength: 120, size: 'max' }),
      fc.array(key),
      (steps, probes) => {
        const index = new IntervalIndex<number>();
        const brute = new BruteForce();
        for (const [value, { adds, from, to }] of steps.entries()) {
          if (adds) {
            index.set(from, to, value);
            brute.set(from, to, value);
          } else expect(index.delete(from, to)).toBe(brute.delete(from, to));
        }
        expect(index.size).toBe(brute.size);
        for (const probe of [...probes, ...steps.flatMap(({ from, to }) => [from, to ?? from])]) {
          const found: number[] = [];
          index.collect(probe, found);
          expect(found.sort((left, right) => left - right)).toEqual(brute.collect(probe));
        }
      },
    );
    fc.assert(runs, { numRuns: 200, seed: 5 });
  });

  it('stays shallow when intervals come in order', () => {
    const index = new IntervalIndex<number>();
    const name = (at: number): string => String(at).padStart(6, '0');
    for (let at = 0; at < 4096; at++) index.set(name(at), name(at + 1), at);
    const found: number[] = [];
    index.collect('002000', found);
    expect(found).toEqual([2000]);
    for (let at = 0; at < 4096; at += 2) expect(index.delete(name(at), name(at + 1))).toBe(true);
    expect(index.get('000001', '000002')).toBe(1);
    expect(index.get('000002', '000003')).toBeUndefined();
    expect(index.size).toBe(2048);
  });
});
