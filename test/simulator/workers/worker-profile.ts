import { type Fate } from '../world/fate.js';

/** What workers do and what goes wrong for them. */
export interface WorkerProfile {
  /** 0 for none, then nothing else of this matters. */
  readonly workers: number;
  /** Of their leases, in ms. */
  readonly ttl: number;
  readonly thinkMs: number;
  /** How long one of up to three steps takes while it holds. */
  readonly holdMs: number;
  /** Chance that the way to a member stands still, per message, and for how long at most. */
  readonly clogChance: number;
  readonly clogMs: number;
  /** Mean time between two troubles of workers; 0 for never. */
  readonly troubleEveryMs: number;
}

export const noWorkers: WorkerProfile = {
  workers: 0,
  ttl: 2_000,
  thinkMs: 0,
  holdMs: 0,
  clogChance: 0,
  clogMs: 0,
  troubleEveryMs: 0,
};

/** Four of them, and ways that stand still for long: what is believed and what is true come apart. */
export const slowWays: WorkerProfile = {
  workers: 4,
  ttl: 2_000,
  thinkMs: 20,
  holdMs: 2_500,
  clogChance: 0.03,
  clogMs: 8_000,
  troubleEveryMs: 0,
};

/** Four of them that take turns quickly, so that there is always a queue. */
export const busyQueue: WorkerProfile = { ...slowWays, holdMs: 150, clogChance: 0, clogMs: 0 };

/** Most worlds are without: production clients cost as much time as the members do. */
export function drawWorkers(fate: Fate): WorkerProfile {
  const draw = fate.draw('profile of workers');
  return {
    workers: draw.chance(0.25) ? draw.between(2, 4) : 0,
    ttl: draw.pick([2_000, 2_000, 3_000, 5_000]),
    thinkMs: draw.pick([20, 100, 400]),
    holdMs: draw.pick([30, 200, 800]),
    clogChance: draw.pick([0, 0.01, 0.03]),
    clogMs: draw.pick([500, 4_000, 8_000]),
    troubleEveryMs: draw.pick([0, 700, 2_500]),
  };
}
