import { type Chance } from '../../compat/chance.js';
import { type ClusterTraffic } from './cluster-traffic.js';
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
  /** What it needs of the machine is there. */
  readonly isPossible?: () => boolean;
  readonly strike: (scene: FaultScene) => Promise<void>;
}
