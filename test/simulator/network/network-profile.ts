import { type Fate } from '../world/fate.js';

/** What breaks between members, or to whole members, at a time of its own. */
export type TroubleKind =
  /** A process is stopped for a while (SIGSTOP). */
  | 'pauses'
  /** A member hears and reaches nobody. */
  | 'isolations'
  /** One direction of one link, or all that one member sends or hears, is lost. */
  | 'oneWayCuts'
  /** A member is cut off by something that refuses connections to it, as a firewall does: the others know at once. */
  | 'refusedMembers'
  /** Two halves that share one member. */
  | 'bridges'
  /** Two halves. */
  | 'partitions'
  /** Nothing arrives for a while, then everything does. */
  | 'clogs'
  /** A connection breaks; what is on its way is lost. */
  | 'resets'
  /** A process dies, as a person or the kernel kills it. */
  | 'kills'
  /** All machines lose their power at once. */
  | 'blackouts'
  /** Right after a commit a majority with the leader loses its power, and is back before the others are reached again. */
  | 'majorityLosses';

export const troubleKinds: readonly TroubleKind[] = [
  'pauses',
  'isolations',
  'refusedMembers',
  'oneWayCuts',
  'bridges',
  'partitions',
  'clogs',
  'resets',
  'kills',
  'blackouts',
  'majorityLosses',
];

/** How members are connected, and what goes wrong there. */
export interface NetworkProfile {
  readonly latencyMs: number;
  /** Share of messages that take up to `slowMs`. */
  readonly slowShare: number;
  readonly slowMs: number;
  readonly lossShare: number;
  readonly duplicateShare: number;
  /** Share of states that do not get there. */
  readonly brokenStateShare: number;
  /** Messages of one link arrive in the order in which they were sent. */
  readonly isOrdered: boolean;
  readonly troubles: readonly TroubleKind[];
  /** Mean time between two troubles; 0 for none. */
  readonly troubleEveryMs: number;
  readonly troubleMs: number;
  /** The share of troubles that look for the leader. */
  readonly leaderShare: number;
  /** How far clocks run apart, as a share of time. */
  readonly clockDrift: number;
}

export const quietNetwork: NetworkProfile = {
  latencyMs: 0.5,
  slowShare: 0,
  slowMs: 0,
  lossShare: 0,
  duplicateShare: 0,
  brokenStateShare: 0,
  isOrdered: true,
  troubles: [],
  troubleEveryMs: 0,
  troubleMs: 0,
  leaderShare: 0,
  clockDrift: 0,
};

export function drawNetwork(fate: Fate): NetworkProfile {
  const draw = fate.draw('profile of the network');
  const on = (share: number): boolean => draw.chance(share);
  const slowMs = draw.pick([5, 50, 800]);
  return {
    latencyMs: draw.pick([0.2, 1, 10, 40]),
    slowShare: on(0.4) ? draw.pick([0.01, 0.1]) : 0,
    slowMs,
    lossShare: on(0.4) ? draw.pick([0.005, 0.05, 0.15]) : 0,
    duplicateShare: on(0.3) ? draw.pick([0.01, 0.1]) : 0,
    brokenStateShare: draw.pick([0, 0.3, 0.7]),
    isOrdered: on(0.5),
    troubles: troubleKinds.filter(() => on(0.45)),
    troubleEveryMs: draw.pick([400, 1_500, 4_000]),
    troubleMs: draw.pick([100, 800, 3_000]),
    leaderShare: draw.pick([0, 0.5, 0.9]),
    clockDrift: on(0.4) ? 0.02 : 0,
  };
}
