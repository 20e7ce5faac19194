import {
  headerBytes,
  hasMagic,
  readChecksum,
  readHeader,
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
  /** Why the next record is not one; undefined when `endLsn` was reached or only zeros follow. */
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
      bad = isZeroFrom(source.bytes, offset) ? undefined : 'no record starts here';
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

/**
 * The highest `syncedLsn` of any intact header of this segment at or after `offset`: what the log itself proves about
 * records that can no longer be read. A header counts even when its payload is damaged.
 */
export function laterProof(source: RecordBytes, segment: number, offset: number): number {
  let proof = 0;
  for (let at = offset; at + headerBytes <= source.bytes.length; at += 8) {
    if (!hasMagic(source, at)) continue;
    const header = readHeader(source, at);
    if (header === undefined || header.segment !== segment || header.offset !== at) continue;
    proof = Math.max(proof, header.syncedLsn);
  }
  return proof;
}

/** Offset after the last byte that is not zero, at least `from`. */
export function contentEnd(bytes: Uint8Array, from: number): number {
  let end = bytes.length;
  while (end >= from + 64 && isZeroRange(bytes, end - 64, end)) end -= 64;
  while (end > from && bytes[end - 1] === 0) end--;
  return end;
}

function isZeroRange(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false;
  return true;
}

function isZeroFrom(bytes: Uint8Array, from: number): boolean {
  return contentEnd(bytes, from) === from;
}
