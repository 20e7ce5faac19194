import { joinPath, type Disk } from '../platform/disk.js';
import { MalformedFieldError } from '../platform/fields.js';
import { readAppend, readMark } from './payload.js';
import { recordBytes, RecordType, type RecordBytes, type RecordHeader } from './record.js';
import { Replay } from './replay.js';
import { laterRecords, scanRecords, unreadableEnd, type ScanResult } from './scan.js';
import { openSegments, readFile, type SegmentFile } from './segment-files.js';
import { type RecoveredLog, type TornTail, type WalMetadata } from './state.js';
import { readSyncMark } from './sync-mark.js';
import { WalCorruptionError, WalError } from './wal-error.js';

/** A segment that is kept, and the highest index whose entry it may hold; for deciding when it can go. */
export interface KeptSegment {
  readonly path: string;
  readonly sequence: number;
  readonly lastIndex: number;
  /** Bytes of its file that may be written again without growing it; 0 when that is not known. */
  readonly capacity: number;
}

/**
 * Where the proven part of the log ends, in its last segment. What follows may be in the page cache only; it is copied into a new
 * segment, which is synced, before the log goes on.
 */
export interface ProvenEnd {
  readonly path: string;
  /** Offset after the last proven record. */
  readonly offset: number;
  readonly lsn: number;
  readonly crc: number;
  /** The first index that records after it wrote; past the end of the log when none did. */
  readonly copyFrom: number;
}

export interface Recovery {
  readonly log: RecoveredLog;
  readonly segments: readonly KeptSegment[];
  readonly proven: ProvenEnd;
}

/** One record of the last segment, as far as it matters for finding the proven end. */
interface TailRecord {
  readonly lsn: number;
  readonly end: number;
  readonly crc: number;
  /** Infinite when the record holds no entries. */
  readonly firstIndex: number;
}

/**
 * Reads the log in `directory`. Undefined when there is none.
 *
 * The decision that matters is about a record that cannot be read. It is proven to have been durable when its LSN is not above the
 * highest LSN that a later record, the sync mark, the head of its segment or the existence of a later segment vouches for.
 * Then the disk lost what it had confirmed, and opening is refused. Otherwise a write was cut short; nobody was told that it had succeeded,
 * and it is dropped and reported.
 *
 * @throws WalError, WalCorruptionError, DiskError
 */
export async function recover(
  disk: Disk,
  directory: string,
  owner: WalMetadata,
): Promise<Recovery | undefined> {
  const segments = await openSegments(disk, directory, owner);
  const markedLsn = await readSyncMark(disk, directory, owner);
  if (segments.length === 0) {
    if (markedLsn === undefined) return undefined;
    throw new WalError(
      'missing segment',
      `${directory} has a sync mark but no segment: the log was removed. Put it back, or remove this member from the cluster and add it ` +
        'again with an empty data directory.',
    );
  }
  return new Recoverer(disk, directory, owner, segments, markedLsn ?? 0).run();
}

class Recoverer {
  private readonly replay = new Replay();
  private readonly kept: KeptSegment[] = [];
  private tail: TailRecord[] = [];
  private bytes = 0;
  private readBytes = 0;

  constructor(
    private readonly disk: Disk,
    private readonly directory: string,
    private readonly owner: WalMetadata,
    private readonly segments: readonly SegmentFile[],
    private readonly markedLsn: number,
  ) {}

  async run(): Promise<Recovery> {
    let previousCrc: number | undefined;
    let lsn = this.segments[0]!.header.lsn;
    for (const [i, segment] of this.segments.slice(0, -1).entries()) {
      const source = recordBytes(await readFile(this.disk, segment.path));
      const endLsn = this.segments[i + 1]!.header.lsn - 1;
      const scan = this.scan(source, segment, lsn, previousCrc, endLsn);
      if (scan.lastLsn !== endLsn) {
        throw this.corruption(segment.path, scan, scan.bad ?? 'the segment ends before its last record');
      }
      lsn = scan.lastLsn + 1;
      previousCrc = scan.lastCrc;
    }
    const last = this.segments.at(-1)!;
    const source = recordBytes(await readFile(this.disk, last.path));
    const scan = this.scan(source, last, lsn, previousCrc, Number.POSITIVE_INFINITY);
    const provenLsn = Math.max(this.markedLsn, last.head.contentLsn, scan.syncedLsn);
    const torn = this.judgeTail(source, last, scan, provenLsn);
    this.checkConnected();
    const report = { torn, segments: this.segments.length, bytes: this.bytes };
    const log = { metadata: this.owner, ...this.replay.finish(this.readBytes), report };
    return { log, segments: this.kept, proven: this.provenEnd(last.path, provenLsn, scan) };
  }

  private scan(
    source: RecordBytes,
    segment: SegmentFile,
    lsn: number,
    previousCrc: number | undefined,
    endLsn: number,
  ): ScanResult {
    this.tail = [];
    let lastIndex = 0;
    const start = { segment: segment.name.sequence, lsn, previousCrc, endLsn };
    const scan = scanRecords(source, start, (header, payloadAt, end, crc) => {
      const firstIndex = this.apply(source, segment, header, payloadAt);
      if (firstIndex !== Number.POSITIVE_INFINITY) lastIndex = Math.max(lastIndex, this.replay.lastIndex);
      this.tail.push({ lsn: header.lsn, end, crc, firstIndex });
    });
    this.kept.push({ path: segment.path, sequence: segment.name.sequence, lastIndex, capacity: 0 });
    this.bytes += scan.offset;
    this.readBytes += source.bytes.length;
    return scan;
  }

  /** Returns the first index of the entries that the record holds. */
  private apply(source: RecordBytes, segment: SegmentFile, header: RecordHeader, payloadAt: number): number {
    const place = { segment: segment.path, offset: header.offset, lsn: header.lsn };
    try {
      if (header.type === RecordType.segment) {
        this.replay.applyHead(segment.head, segment === this.segments[0]);
      } else if (header.type === RecordType.mark) {
        this.replay.applyMark(readMark(source, payloadAt, header.payloadLength));
      } else if (header.type === RecordType.append) {
        const { hardState, entries } = readAppend(source, payloadAt, header.payloadLength);
        if (hardState !== undefined) this.replay.applyHardState(hardState);
        if (entries.length === 0) return Number.POSITIVE_INFINITY;
        if (!this.replay.applyEntries(entries)) {
          const index = this.replay.lastIndex + 1;
          throw new WalCorruptionError(
            { ...place, index },
            `entries from ${entries[0]!.index} on do not follow`,
          );
        }
        return entries[0]!.index;
      }
      return Number.POSITIVE_INFINITY;
    } catch (error) {
      if (!(error instanceof MalformedFieldError)) throw error;
      throw new WalCorruptionError({ ...place, index: this.replay.lastIndex + 1 }, error.message);
    }
  }

  private judgeTail(
    source: RecordBytes,
    last: SegmentFile,
    scan: ScanResult,
    provenLsn: number,
  ): TornTail | undefined {
    const { sequence } = last.name;
    const later = laterRecords(source, sequence, scan.offset);
    const proof = Math.max(provenLsn, later.proof);
    if (proof > scan.lastLsn) {
      throw this.corruption(last.path, scan, scan.bad ?? `records up to ${proof} were confirmed by the disk`);
    }
    if (scan.bad === undefined && later.end === scan.offset) return undefined;
    const end = Math.max(later.end, unreadableEnd(source, sequence, scan.offset));
    return {
      segment: last.name.name,
      offset: scan.offset,
      lsn: scan.lastLsn + 1,
      bytes: end - scan.offset,
      firstIndexDropped: this.replay.lastIndex + 1,
    };
  }

  private corruption(segment: string, scan: ScanResult, reason: string): WalCorruptionError {
    const index = this.replay.lastIndex + 1;
    return new WalCorruptionError({ segment, offset: scan.offset, lsn: scan.lastLsn + 1, index }, reason);
  }

  private checkConnected(): void {
    if (this.replay.isConnected) return;
    throw new WalError(
      'missing segment',
      `${joinPath(this.directory, this.segments[0]!.name.name)} starts at index ${this.replay.firstIndex}, but entries before it are not covered by a ` +
        'snapshot: earlier segments are missing. Put them back; if they are lost, remove this member from the cluster and add it again with an ' +
        'empty data directory.',
    );
  }

  private provenEnd(path: string, provenLsn: number, scan: ScanResult): ProvenEnd {
    let copyFrom = this.replay.lastIndex + 1;
    let end = { offset: scan.offset, lsn: scan.lastLsn, crc: scan.lastCrc };
    for (const record of this.tail) {
      if (record.lsn === provenLsn) end = { offset: record.end, lsn: record.lsn, crc: record.crc };
      if (record.lsn > provenLsn) copyFrom = Math.min(copyFrom, record.firstIndex);
    }
    return { path, ...end, copyFrom };
  }
}
