import { type Effort } from '../requests.js';
import { type Comparison } from '../rounds.js';
import { measureCatchUp } from './catch-up.js';
import { compareClusterRequests } from './cluster-requests.js';
import { measureFailover } from './failover.js';
import { type Limit } from './limit.js';
import { measurePlannedTransfer } from './planned-transfer.js';

export const clusterParts = ['cluster-requests', 'failover', 'transfer', 'catch-up'] as const;

export interface ClusterEffort extends Effort {
  readonly kills: number;
  readonly transfers: number;
  /** Entries that a follower is behind; more than a leader keeps for it. */
  readonly entriesBehind: number;
}

export interface ClusterFigures {
  readonly comparisons: readonly Comparison[];
  readonly limits: readonly Limit[];
}

/** What three members on this machine do; `wants` says which parts are asked for. */
export async function measureCluster(
  effort: ClusterEffort,
  wants: (part: (typeof clusterParts)[number]) => boolean,
): Promise<ClusterFigures> {
  const comparisons = wants('cluster-requests') ? await compareClusterRequests(effort) : [];
  const limits: Limit[] = [];
  if (wants('failover')) limits.push(...(await measureFailover(effort.kills)));
  if (wants('transfer')) limits.push(...(await measurePlannedTransfer(effort.transfers)));
  if (wants('catch-up')) limits.push(...(await measureCatchUp(effort.entriesBehind, effort)));
  return { comparisons, limits };
}
