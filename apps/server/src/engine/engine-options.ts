import type { AutoCompactionOptions } from './replica/auto-compaction.js';
import type { RequestLimits } from './requests/request-parts.js';

/** Everything that a member's engine is told; plain values, checked before by whoever starts it. */
export interface EngineOptions {
  /** Holds the log (`wal`), restart points (`snap`) and the store (`db`) of this member, and nothing else. */
  readonly directory: string;
  /** Another place for the log, on a disk of its own. */
  readonly walDirectory?: string;
  readonly name: string;
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  /** One raft tick, and the interval of a leader's heartbeats. */
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly limits: RequestLimits;
  readonly autoCompaction: AutoCompactionOptions;
  /** History rows that a compaction looks at between two turns; 2,000 when not given. */
  readonly compactionRowsPerSlice?: number | undefined;
  readonly watchProgressIntervalMs: number;
  /** Size that log segments are filled to ahead. */
  readonly walSegmentBytes: number;
  /** Size of each of the two batches of the log; 4 MiB when not given. At least 4 KiB. */
  readonly walBatchBytes?: number | undefined;
}
