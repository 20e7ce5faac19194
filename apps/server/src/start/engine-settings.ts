import { join } from 'node:path';
import { type EngineOptions } from '../engine/engine-options.js';
import { type AutoCompactionOptions } from '../engine/replica/auto-compaction.js';
import { minLeaseTtlSeconds } from '../engine/lease/lessor.js';
import { type AutoCompaction } from '../options/auto-compaction.js';
import { type ServerOptions } from '../options/server-options.js';
import { type Membership } from './membership.js';

const walSegmentBytes = 64 * 1024 * 1024;

/** Where a member keeps its state inside the data directory, as etcd does. */
export function memberDirectory(dataDir: string): string {
  return join(dataDir, 'member');
}

/** The options as the engine takes them. @param clientUrls URLs that are published to clients. */
export function engineOptionsOf(
  options: ServerOptions,
  { identity, foundingMembers }: Pick<Membership, 'identity' | 'foundingMembers'>,
  clientUrls: readonly string[],
): EngineOptions {
  return {
    directory: memberDirectory(options.dataDir),
    ...(options.walDir === '' ? {} : { walDirectory: options.walDir }),
    name: options.name,
    clusterId: identity.clusterId,
    memberId: identity.memberId,
    foundingMembers,
    forcesNewCluster: options.forceNewCluster,
    peerUrls: options.initialAdvertisePeerUrls.map(({ text }) => text),
    clientUrls,
    heartbeatMs: options.heartbeatInterval,
    electionMs: options.electionTimeout,
    limits: {
      maxRequestBytes: options.maxRequestBytes,
      maxTxnOps: options.maxTxnOps,
      quotaBackendBytes: options.quotaBytes ?? 0,
      minLeaseTtlSeconds: minLeaseTtlSeconds(options.electionTimeout),
      maxLearners: options.maxLearners,
    },
    promotesLearners: options.promoteLearners,
    autoCompaction: compactionOf(options.autoCompaction),
    watchProgressIntervalMs: options.watchProgressNotifyInterval,
    walSegmentBytes,
  };
}

function compactionOf(compaction: AutoCompaction): AutoCompactionOptions {
  switch (compaction.mode) {
    case 'off':
      return { mode: 'periodic', retention: 0 };
    case 'periodic':
      return { mode: 'periodic', retention: compaction.retentionMs };
    case 'revision':
      return { mode: 'revision', retention: compaction.retentionRevisions };
  }
}
