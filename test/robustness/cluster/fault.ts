import { type Chance } from '../../compat/chance.js';
import { type ClusterTraffic } from './cluster-traffic.js';
import { type Surroundings } from './machine.js';
import { type TestedCluster } from './tested-cluster.js';

/** What a fault works on. */
export interface FaultScene {
  readonly cluster: TestedCluster;
  readonly traffic: ClusterTraffic;
  readonly chance: Chance;
}

/** One thing that breaks under traffic. What it leaves broken is healed by `TestedCluster.heal`. */
export interface Fault {
  readonly name: string;
  /** A majority of healthy members stays connected: writes must go on while it lasts. */
  readonly keepsMajority: boolean;
  /** What it needs of the machine that runs the tests is there. */
  readonly isPossible?: () => boolean;
  /** What the surroundings of the cluster must be made of. */
  readonly needs?: 'link proxies' | 'small disks';
  readonly strike: (scene: FaultScene) => Promise<void>;
}

/** Whether it can be struck in these surroundings, here. */
export function fits({ isPossible, needs }: Fault, { network, hasSmallDisks }: Surroundings): boolean {
  if (needs === 'link proxies' && network !== 'links') return false;
  if (needs === 'small disks' && !hasSmallDisks) return false;
  return isPossible?.() !== false;
}
