import {
  endMarkBytes,
  headerBytes,
  hasMagic,
  readChecksum,
  readHeader,
  readSegmentNumber,
  recordSize,
  RecordType,
  walFormat,
  type RecordBytes,
  type RecordHeader,
} from './record.js';

/** Where a scan begins: the chain as the record before left it. */
export interface ScanStart {
  readonly segment: number;
  readonly lsn: number;
  /** Undefined for the first segment that is left, whose predecessor is gone. */
  readonly previousCrc: number | undefined;
  /** The scan ends after this record; infinite for the last segment. */
  readonly endLsn: number;
}

/** How a scan ended. */
export interface ScanResult {
  /** Offset after the last good record. */
  readonly offset: number;
  /** The last good record; `start.lsn - 1` when there is none. */
  readonly lastLsn: number;
  readonly lastCrc: number;
  /** Offset after the record with the highest LSN that is proven so far is not known here; this is the highest `syncedLsn` seen. */
  readonly syncedLsn: number;
  /** Why the next record is not one; undefined when `endLsn` was reached or the end mark follows. */
  readonly bad: string | undefined;
}

export type RecordVisitor = (header: RecordHeader, payloadAt: number, recordEnd: number, crc: number) => void;

/**
 * Visits the records of one segment in order, up to the first that is not intact, in its place and linked to the one before.
 */
export function scanRecords(source: RecordBytes, start: ScanStart, visit: RecordVisitor): ScanResult {
  let offset = 0;
  let lastLsn = start.lsn - 1;
  let lastCrc = start.previousCrc;
  let syncedLsn = 0;
  let bad: string | undefined;
  while (lastLsn < start.endLsn) {
    const header = readHeader(source, offset);
    if (header === undefined) {
      bad = hasEndMark(source.bytes, offset) ? undefined : 'no record starts here';
      break;
    }
    bad = misplaced(header, start.segment, offset, lastLsn + 1, lastCrc);
    const crc = bad === undefined ? readChecksum(source, offset, header) : undefined;
    if (crc === undefined) {
      bad ??= 'the checksum does not match the content';
      break;
    }
    const end = offset + recordSize(header.payloadLength);
    visit(header, offset + headerBytes, end, crc);
    offset = end;
    lastLsn = header.lsn;
    lastCrc = crc;
    syncedLsn = Math.max(syncedLsn, header.syncedLsn);
  }
  return { offset, lastLsn, lastCrc: lastCrc ?? 0, syncedLsn, bad };
}

function misplaced(
  header: RecordHeader,
  segment: number,
  offset: number,
  lsn: number,
  previousCrc: number | undefined,
): string | undefined {
  if (header.format !== walFormat) return `the record has format ${header.format}`;
  if (header.segment !== segment) return `the record belongs to segment ${header.segment}`;
  if (header.offset !== offset) return `the record belongs to offset ${header.offset}`;
  if (header.lsn !== lsn) return `record ${header.lsn} is in the place of record ${lsn}`;
  if (!(header.syncedLsn < header.lsn)) return 'the record claims to be durable before it was written';
  if (previousCrc !== undefined && header.previousCrc !== previousCrc) {
    return 'the record does not follow the one before';
  }
  const isHead = header.type === RecordType.segment;
  if (isHead !== (offset === 0)) return `a record of type ${header.type} is out of place`;
  if (header.type < RecordType.segment || header.type > RecordType.sync) {
    return `the record has type ${header.type}`;
  }
  return undefined;
}

/** What the headers of this segment behind an offset say. */
export interface LaterRecords {
  /** The highest `syncedLsn` of any: what the log itself proves about records that can no longer be read. */
  readonly proof: number;
  /** Offset after the last of them; the offset that was asked about when there is none. */
  readonly end: number;
}

/** Looks for intact headers of this segment at or after `offset`. One counts even when its payload is damaged. */
export function laterRecords(source: RecordBytes, segment: number, offset: number): LaterRecords {
  const { length } = source.bytes;
  let proof = 0;
  let end = offset;
  for (let at = offset; at + headerBytes <= length; at += 8) {
    // Of what an earlier segment left in the file, nothing but the number is looked at.
    if (!hasMagic(source, at) || readSegmentNumber(source, at) !== segment) continue;
    const header = readHeader(source, at);
    if (header === undefined || header.offset !== at) continue;
    proof = Math.max(proof, header.syncedLsn);
    end = Math.max(end, Math.min(length, at + recordSize(header.payloadLength)));
  }
  return { proof, end };
}

/**
 * Offset after what cannot be read at `offset`: where an end mark begins, or a record that an earlier segment left in
 * this file.
 */
export function unreadableEnd(source: RecordBytes, segment: number, offset: number): number {
  const { length } = source.bytes;
  for (let at = offset; at < length; at += 8) {
    if (hasEndMark(source.bytes, at)) return at;
    if (at + headerBytes > length || !hasMagic(source, at)) continue;
    const header = readHeader(source, at);
    if (header !== undefined && header.segment !== segment) return at;
  }
  return length;
}

/** Whether an end mark begins at `at`; the end of the file may cut it short. */
function hasEndMark(bytes: Uint8Array, at: number): boolean {
  const end = Math.min(at + endMarkBytes, bytes.length);
  for (let i = at; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}
