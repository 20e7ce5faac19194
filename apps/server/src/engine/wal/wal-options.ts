import { type Clock } from '../platform/clock.js';
import { type Disk } from '../platform/disk.js';
import { type Logger } from '../platform/logger.js';
import { doublingBuckets, type Counter, type Histogram, type Meter } from '../platform/meter.js';
import { type Entry, type HardState } from '../raft/message.js';
import { type WalMetadata } from './state.js';

export interface WalOptions {
  readonly directory: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly metadata: WalMetadata;
  /**
   * Whether a log may be created when there is none. False on every start but the first: a member whose log is gone must not vote
   * again under its old id.
   */
  readonly create: boolean;
  /** Size of a segment; 64 MiB when not given. At least 4 KiB, at most 1 GiB. */
  readonly segmentBytes?: number;
  /** Size of each of the two batches; 4 MiB when not given. */
  readonly bufferBytes?: number;
  /** An idle log writes down what is durable after this time; 100 ms when not given. */
  readonly idleSyncMs?: number;
  /** The sync mark is renewed at most this often; 10 s when not given. */
  readonly syncMarkMs?: number;
}

/** What `append` makes durable: a record of both or neither. */
export interface WalUpdate {
  readonly hardState?: HardState | undefined;
  /** Consecutive. They replace everything that the log holds from the first one's index on. */
  readonly entries: readonly Entry[];
  /** Whether `done` waits for a sync. False is right only for an update whose loss no message would contradict. */
  readonly mustSync: boolean;
}

/** Figures since the log was opened. */
export interface WalStats {
  readonly fsyncs: number;
  readonly bytes: number;
  /** Data of appends that are not done yet, in bytes. */
  readonly queueBytes: number;
  readonly lastFsyncMs: number;
  readonly segments: number;
  /** Whether the next segment could not be prepared for lack of space. */
  readonly noSpace: boolean;
  readonly lastLsn: number;
  readonly syncedLsn: number;
}

const mebibyte = 1024 * 1024;

/** The options with all defaults. @throws RangeError for a size out of its range. */
export function withDefaults(options: WalOptions): Required<WalOptions> {
  const segmentBytes = options.segmentBytes ?? 64 * mebibyte;
  if (!Number.isInteger(segmentBytes) || segmentBytes < 4096 || segmentBytes > 1024 * mebibyte) {
    throw new RangeError(`segmentBytes is ${segmentBytes}; it must be from 4096 to ${1024 * mebibyte}`);
  }
  const bufferBytes = options.bufferBytes ?? 4 * mebibyte;
  if (!Number.isInteger(bufferBytes) || bufferBytes < 4096 || bufferBytes > 256 * mebibyte) {
    throw new RangeError(`bufferBytes is ${bufferBytes}; it must be from 4096 to ${256 * mebibyte}`);
  }
  return {
    ...options,
    segmentBytes: segmentBytes - (segmentBytes % 8),
    bufferBytes: bufferBytes - (bufferBytes % 8),
    idleSyncMs: options.idleSyncMs ?? 100,
    syncMarkMs: options.syncMarkMs ?? 10_000,
  };
}

/** The counters of a log and their current values. */
export class WalMetrics {
  fsyncs = 0;
  bytes = 0;
  lastFsyncMs = 0;
  private readonly fsyncSeconds: Histogram;
  private readonly writeSeconds: Histogram;
  private readonly writeBytes: Counter;

  constructor(meter: Meter) {
    const buckets = doublingBuckets(0.001, 14);
    this.fsyncSeconds = meter.histogram(
      'etcd_disk_wal_fsync_duration_seconds',
      'The latency distributions of fsync called by WAL.',
      buckets,
    );
    this.writeSeconds = meter.histogram(
      'etcd_disk_wal_write_duration_seconds',
      'The latency distributions of writes called by WAL.',
      buckets,
    );
    this.writeBytes = meter.counter(
      'etcd_disk_wal_write_bytes_total',
      'Total number of bytes written in WAL.',
    );
  }

  written(bytes: number, ms: number): void {
    this.bytes += bytes;
    this.writeBytes.add(bytes);
    this.writeSeconds.observe(ms / 1000);
  }

  synced(ms: number): void {
    this.fsyncs++;
    this.lastFsyncMs = ms;
    this.fsyncSeconds.observe(ms / 1000);
  }
}
