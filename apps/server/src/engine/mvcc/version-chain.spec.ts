import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VersionRoots } from './version-chain.js';

interface Version {
  readonly main: number;
  readonly prev: number;
  readonly jump: number;
}

/** Adds versions one by one and records what the log would hold. */
function build(mains: readonly number[]): {
  roots: VersionRoots;
  rows: Map<number, Version>;
  shown: string[];
} {
  const roots = new VersionRoots();
  const rows = new Map<number, Version>();
  const shown: string[] = [];
  for (const main of mains) {
    const prev = roots.length > 0 ? roots.mains[0] : 0;
    roots.push(main, 0, -1);
    const jump = roots.ranks[0] > 0 && roots.length > 1 ? roots.mains[1] : 0;
    rows.set(main, { main, prev, jump });
    const stack = Array.from({ length: roots.length }, (_, at) => `${roots.mains[at]}^${roots.ranks[at]}`);
    shown.push(`${main}: ${stack.join(' ')} | ${prev || '-'} ${jump || '-'}`);
  }
  return { roots, rows, shown };
}

/** The search as the store does it; returns the revision found (0: none) and the rows read. */
function search(
  roots: VersionRoots,
  rows: Map<number, Version>,
  revision: number,
): { found: number; read: number[] } {
  if (roots.mains[0] <= revision) return { found: roots.mains[0], read: [roots.mains[0]] };
  const start = roots.searchStart(revision);
  const read: number[] = [];
  if (start < 0) return { found: 0, read };
  let at = roots.mains[start];
  for (;;) {
    read.push(at);
    const row = rows.get(at);
    if (row === undefined) throw new Error(`row ${at} is gone`);
    if (row.main <= revision) return { found: row.main, read };
    if (row.prev === 0) return { found: 0, read };
    at = row.jump > revision ? row.jump : row.prev;
  }
}

describe('VersionRoots', () => {
  it('is as the example in its comment', () => {
    const { roots, rows, shown } = build([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(shown).toEqual([
      '2: 2^0 | - -',
      '3: 3^0 2^0 | 2 -',
      '4: 4^1 | 3 -',
      '5: 5^0 4^1 | 4 -',
      '6: 6^0 5^0 4^1 | 5 -',
      '7: 7^1 4^1 | 6 4',
      '8: 8^2 | 7 -',
      '9: 9^0 8^2 | 8 -',
      '10: 10^0 9^0 8^2 | 9 -',
      '11: 11^1 8^2 | 10 8',
      '12: 12^0 11^1 8^2 | 11 -',
    ]);
    expect(search(roots, rows, 3)).toEqual({ found: 3, read: [8, 7, 4, 3] });
  });

  it('finds every version of ten thousand in at most three times the logarithm of reads', () => {
    const mains = Array.from({ length: 10_000 }, (_, at) => 2 * at + 2);
    const { roots, rows } = build(mains);
    expect(roots.length).toBeLessThanOrEqual(14);
    for (let revision = 1; revision <= 20_010; revision += 7) {
      const { found, read } = search(roots, rows, revision);
      expect(found).toBe(revision < 2 ? 0 : Math.min(20_000, revision - (revision % 2)));
      expect(read.length).toBeLessThanOrEqual(3 * 14);
    }
  });

  it('finds what a compaction leaves, without following a pointer to what it removed', () => {
    const runs = fc.property(
      fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 80, size: 'max' }),
      (gaps) => {
        const roots = new VersionRoots();
        const rows = new Map<number, Version>();
        let main = 1;
        let compacted = -1;
        for (const gap of gaps) {
          if (gap === 0) {
            // Compact to the current revision less two: everything up to it but the newest goes.
            compacted = Math.max(compacted, main - 2);
            const old = [...rows.keys()].filter((row) => row <= compacted);
            for (const row of old.slice(0, -1)) rows.delete(row);
            continue;
          }
          main += gap;
          const prev = roots.length > 0 ? roots.mains[0] : 0;
          roots.push(main, 0, compacted);
          const jump = roots.ranks[0] > 0 && roots.length > 1 ? roots.mains[1] : 0;
          rows.set(main, { main, prev, jump });
        }
        if (rows.size === 0) return;
        for (let revision = Math.max(1, compacted); revision <= main; revision++) {
          const expected = [...rows.keys()].filter((row) => row <= revision).at(-1) ?? 0;
          expect(search(roots, rows, revision).found).toBe(expected);
        }
      },
    );
    fc.assert(runs, { numRuns: 300, seed: 17 });
  });
});
