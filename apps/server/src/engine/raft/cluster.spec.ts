import { describe, expect, it } from 'vitest';
import { AssertionError } from '../platform/assert.js';
import { Violation } from './testing/checker.js';
import { PLANTED_FLAWS, type PlantedFlaw } from './testing/planted-flaws.js';
import { noFigures, type RunFigures } from './testing/run-figures.js';
import { SimulatedCluster } from './testing/simulated-cluster.js';

const SIZES = [3, 5, 3, 5, 3, 1];
const STEPS = 3000;
/** Seeds that a planted flaw may survive at most. */
const FLAW_SEEDS = 3000;

describe('cluster', () => {
  it('keeps R1 to R10 and R12 in every step of 240 faulty runs, and recovers after each', () => {
    const total = noFigures();
    for (let seed = 1; seed <= 240; seed += 1) {
      const members = SIZES[seed % SIZES.length]!;
      const cluster = new SimulatedCluster({ seed, members, steps: STEPS });
      try {
        cluster.run();
      } catch (error) {
        throw new Error(`seed ${seed} with ${members} members`, { cause: error });
      }
      for (const name of Object.keys(total) as (keyof RunFigures)[]) total[name] += cluster.figures[name];
    }
    // A run in which nothing happened would prove nothing.
    expect(total.leaders).toBeGreaterThan(240);
    expect(total.committed).toBeGreaterThan(2400);
    expect(total.readsAnswered).toBeGreaterThan(2400);
    expect(total.crashes).toBeGreaterThan(240);
    expect(total.changes).toBeGreaterThan(60);
    expect(total.transfers).toBeGreaterThan(50);
    expect(total.installs).toBeGreaterThan(30);
  });

  it('gives the same run for the same seed', () => {
    const figures = [0, 0].map(() => {
      const cluster = new SimulatedCluster({ seed: 7, members: 5, steps: STEPS });
      cluster.run();
      return cluster.figures;
    });
    expect(figures[0]).toEqual(figures[1]);
  });

  it.each(PLANTED_FLAWS.map((flaw) => [flaw.name, flaw] as const))('finds that %s', (_name, flaw) => {
    expect(hunt(flaw)).toBeDefined();
  });
});

/** A seed in which the flaw shows, and how. */
function hunt({ plant, host, ignored, seed: first = 1 }: PlantedFlaw): string | undefined {
  const undo = plant?.() ?? (() => {});
  try {
    for (let tried = 0; tried < FLAW_SEEDS; tried += 1) {
      const seed = 1 + ((first - 1 + tried) % FLAW_SEEDS);
      const members = SIZES[seed % SIZES.length]!;
      try {
        new SimulatedCluster({ seed, members, steps: STEPS, flaws: host, ignored }).run();
      } catch (error) {
        if (error instanceof Violation || error instanceof AssertionError)
          return `seed ${seed}: ${error.message}`;
        throw error;
      }
    }
    return undefined;
  } finally {
    undo();
  }
}
