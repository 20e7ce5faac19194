import { type EngineOptions } from '../../../apps/server/src/engine/engine-options.js';
import { type Identity } from './identity.js';
import { type Profile } from './profile.js';

export const electionMs = 1_000;

/** What the engine of a member is told. */
export function engineOptions(profile: Profile, own: Identity, founders: readonly Identity[]): EngineOptions {
  return {
    directory: '/data',
    name: own.name,
    clusterId: 0xc1n,
    memberId: own.id,
    foundingMembers: founders.map(({ id, name, peerUrl }) => ({ id, name, peerUrls: [peerUrl] })),
    peerUrls: [own.peerUrl],
    clientUrls: [own.clientUrl],
    heartbeatMs: 100,
    electionMs,
    limits: {
      maxRequestBytes: 1_572_864,
      maxTxnOps: 128,
      quotaBackendBytes: 0,
      minLeaseTtlSeconds: 1,
    },
    autoCompaction: { mode: 'periodic', retention: profile.autoCompactionMs },
    compactionRowsPerSlice: profile.compactionRowsPerSlice,
    leaseCheckpointIntervalSeconds: profile.leaseCheckpointSeconds,
    watchProgressIntervalMs: profile.watchProgressIntervalMs,
    walSegmentBytes: profile.segmentBytes,
    walBatchBytes: profile.batchBytes,
    retainedEntries: profile.retainedEntries,
  };
}
