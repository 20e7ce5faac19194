import { crc32 } from 'node:zlib';
import { assert } from '../platform/assert.js';
import { readUint64, writeUint64 } from '../platform/fields.js';
import { shortCrc32 } from '../platform/table-crc.js';

/**
 * The frame of everything in a log. Numbers are little-endian. A record starts at a multiple of 8 and its length is one:
 *
 *   offset size
 *        0    4  magic: the characters `CWAL`
 *        4    1  format version of the log (1)
 *        5    1  type: 1 segment, 2 append, 3 mark, 4 sync
 *        6    2  zero
 *        8    8  sequence number of the segment, as in its file name
 *       16    4  offset of this record in its file
 *       20    4  payload length P
 *       24    8  LSN: records are numbered 1, 2, 3, … across segments
 *       32    8  syncedLsn: the highest LSN that was known to be durable when this record was encoded
 *       40    4  checksum of the previous record (its last field), also across segments; 0 for the first
 *       44    4  header checksum: CRC-32 of the 44 bytes before
 *       48    P  payload, then zeros until the next field ends at a multiple of 8
 *        …    4  checksum: CRC-32 of payload and zeros, started from the header checksum
 *
 * A record thus says where it belongs (a misdirected write is noticed), which record precedes it (a lost write is
 * noticed), and what must still be readable if it is (damage and a crash during a write can be told apart, see
 * `scan.ts`). The first 48 bytes keep this meaning in every later format.
 *
 * Example: the head of segment 1 takes its first 144 bytes. Then term 2 is stored together with a vote for member 10, commit 0, and one
 * entry at index 1 with the command `hi`. That is record 2, 112 bytes at offset 144:
 *
 *   43 57 41 4c  01 02 00 00      magic `CWAL`, format 1, type 2 (append)
 *   01 00 00 00  00 00 00 00      segment 1
 *   90 00 00 00  3a 00 00 00      offset 144, payload of 58 bytes
 *   02 00 00 00  00 00 00 00      LSN 2
 *   01 00 00 00  00 00 00 00      record 1 is known to be durable
 *   eb d4 06 ac  11 0c 2b cf      checksum of record 1, checksum of this header
 *   01 00 00 00  01 00 00 00      payload: flags 1 (a hard state is present), 1 entry
 *   02 00 00 00  00 00 00 00        hard state: term 2
 *   0a 00 00 00  00 00 00 00                    vote 10
 *   00 00 00 00  00 00 00 00                    commit 0
 *   01 00 00 00  00 00 00 00        index of the first entry: 1
 *   02 00 00 00  00 00 00 00        entry: term 2
 *   00 00 00 00  02 00 00 00               kind 0 (normal), 2 bytes of data
 *   68 69 00 00  5b 09 6a 46               `hi`; then two zeros, and the checksum of the record
 */
export const walFormat = 1;
export const headerBytes = 48;
/**
 * Zeros behind the last record of every write. The file of a segment may have served an earlier one, whose content lies
 * behind them; its records carry another segment number and are never taken for those of this one.
 */
export const endMarkBytes = 64;
/** Bound of one payload, checked before anything is allocated for it. */
export const payloadBytesMax = 2 ** 30;

const magic = 0x4c41_5743;
const trailerBytes = 4;

/** What a payload means; see `payload.ts`. */
export const RecordType = { segment: 1, append: 2, mark: 3, sync: 4 } as const;
export type RecordType = (typeof RecordType)[keyof typeof RecordType];

/** Bytes with a view on them, made once per buffer because records are encoded and decoded in place. */
export interface RecordBytes {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

export function recordBytes(bytes: Uint8Array): RecordBytes {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}

/** Size of a whole record. */
export function recordSize(payloadLength: number): number {
  return (headerBytes + payloadLength + trailerBytes + 7) & ~7;
}

/**
 * Numbers and chains records. Invariants: `lastLsn` and `lastCrc` are those of the record sealed last, in this or an earlier segment;
 * `syncedLsn <= lastLsn`, and every record up to `syncedLsn` is durable.
 */
export class RecordChain {
  syncedLsn: number;

  constructor(
    public segment: number,
    public lastLsn: number,
    public lastCrc: number,
  ) {
    this.syncedLsn = lastLsn;
  }

  /**
   * Completes the record whose payload was encoded at `at + headerBytes`. `fileOffset` is where it will be in the file.
   * Returns the size of the record.
   */
  seal(target: RecordBytes, at: number, fileOffset: number, type: RecordType, payloadLength: number): number {
    assert(this.syncedLsn <= this.lastLsn, 'only sealed records can be durable');
    assert(fileOffset % 8 === 0, 'records are aligned');
    assert(payloadLength <= payloadBytesMax, 'payload within its bound');
    const { bytes, view } = target;
    const size = recordSize(payloadLength);
    const crcAt = at + size - trailerBytes;
    this.lastLsn++;
    view.setUint32(at, magic, true);
    view.setUint32(at + 4, walFormat | (type << 8), true);
    writeUint64(view, at + 8, this.segment);
    view.setUint32(at + 16, fileOffset, true);
    view.setUint32(at + 20, payloadLength, true);
    writeUint64(view, at + 24, this.lastLsn);
    writeUint64(view, at + 32, this.syncedLsn);
    view.setUint32(at + 40, this.lastCrc, true);
    const headerCrc = shortCrc32(0, bytes, at, at + headerBytes - 4);
    view.setUint32(at + 44, headerCrc, true);
    for (let zero = at + headerBytes + payloadLength; zero < crcAt; zero++) bytes[zero] = 0;
    this.lastCrc = crc32(bytes.subarray(at + headerBytes, crcAt), headerCrc);
    view.setUint32(crcAt, this.lastCrc, true);
    return size;
  }
}

/** A header whose checksum is right. Its own claims (place, length) are still to be compared with where it was found. */
export interface RecordHeader {
  readonly format: number;
  readonly type: number;
  readonly segment: number;
  readonly offset: number;
  readonly payloadLength: number;
  readonly lsn: number;
  readonly syncedLsn: number;
  readonly previousCrc: number;
  readonly headerCrc: number;
}

/** Whether a record may start here; cheap, for searching. */
export function hasMagic(source: RecordBytes, at: number): boolean {
  return source.view.getUint32(at, true) === magic;
}

/** What the header at `at` says of its segment; cheap, and worth nothing until the header was checked. */
export function readSegmentNumber(source: RecordBytes, at: number): number {
  return readUint64(source.view, at + 8);
}

/** The header at `at`, or undefined when there is none that can be trusted. */
export function readHeader(source: RecordBytes, at: number): RecordHeader | undefined {
  const { bytes, view } = source;
  if (at + headerBytes > bytes.length || !hasMagic(source, at)) return undefined;
  const headerCrc = view.getUint32(at + 44, true);
  if (shortCrc32(0, bytes, at, at + headerBytes - 4) !== headerCrc) return undefined;
  return {
    format: view.getUint8(at + 4),
    type: view.getUint8(at + 5),
    segment: readUint64(view, at + 8),
    offset: view.getUint32(at + 16, true),
    payloadLength: view.getUint32(at + 20, true),
    lsn: readUint64(view, at + 24),
    syncedLsn: readUint64(view, at + 32),
    previousCrc: view.getUint32(at + 40, true),
    headerCrc,
  };
}

/** The checksum of the record at `at`, or undefined when the record does not fit in `source` or does not have that checksum. */
export function readChecksum(source: RecordBytes, at: number, header: RecordHeader): number | undefined {
  if (header.payloadLength > payloadBytesMax) return undefined;
  const end = at + recordSize(header.payloadLength);
  if (end > source.bytes.length) return undefined;
  const stored = source.view.getUint32(end - trailerBytes, true);
  const actual = crc32(source.bytes.subarray(at + headerBytes, end - trailerBytes), header.headerCrc);
  return actual === stored ? stored : undefined;
}
