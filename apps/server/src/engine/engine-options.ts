import type { AutoCompactionOptions } from './replica/auto-compaction.js';
import type { RequestLimits } from './requests/request-parts.js';

/** A member of a cluster that is being founded. */
export interface FoundingMember {
  readonly id: bigint;
  readonly name: string;
  readonly peerUrls: readonly string[];
}

/** Everything that a member's engine is told; plain values, checked before by whoever starts it. */
export interface EngineOptions {
  /** Holds the log (`wal`), restart points (`snap`) and the store (`db`) of this member, and nothing else. */
  readonly directory: string;
  /** Another place for the log, on a disk of its own. */
  readonly walDirectory?: string;
  readonly name: string;
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /**
   * All members of a new cluster, this one among them, alike on each of them. Empty when this member joins a running
   * cluster: it then starts without a configuration and follows what the leader sends. Looked at on the first start only.
   */
  readonly foundingMembers: readonly FoundingMember[];
  /** This member is what is left of its cluster, and goes on alone; refused without data. */
  readonly forcesNewCluster?: boolean | undefined;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  /** One raft tick, and the interval of a leader's heartbeats. */
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly limits: RequestLimits;
  readonly autoCompaction: AutoCompactionOptions;
  /** History rows that a compaction looks at between two turns; 2,000 when not given. */
  readonly compactionRowsPerSlice?: number | undefined;
  /** Learners become voters by themselves once they are in sync; by default somebody has to promote them. */
  readonly promotesLearners?: boolean | undefined;
  readonly watchProgressIntervalMs: number;
  /** How often the leader stores what long leases have left; 300 s when not given. Leases with shorter TTLs start anew with every leader. */
  readonly leaseCheckpointIntervalSeconds?: number | undefined;
  /** Size that log segments are filled to ahead. */
  readonly walSegmentBytes: number;
  /** Size of each of the two batches of the log; 4 MiB when not given. At least 4 KiB. */
  readonly walBatchBytes?: number | undefined;
  /** Applied entries that are kept for members that lag; 5,000 when not given. Who lags further gets a whole state. */
  readonly retainedEntries?: number | undefined;
}
