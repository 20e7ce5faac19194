import { type Buffer } from 'node:buffer';
import { crc32 } from 'node:zlib';
import { CorruptionError, UnknownFormatError } from './storage-errors.js';
import { varintSize, VarintReader, writeVarint } from './varint.js';

/**
 * The row of the log: one change of one key, at its revision (main, sub).
 *
 *     byte 0      low four bits: format, 1. High bits: 0x10 tombstone, 0x20 creates the key, 0x40 has prev, 0x80 has jump
 *     bytes 1-4   CRC-32 (IEEE) of everything behind it, little endian. It starts from a seed made of byte 0 and of the
 *                 position, so a row that is read from the wrong place fails too
 *     varints     with prev: how far its main revision is below this one, its sub; the same for jump
 *     the rest    exactly the protobuf KeyValue that etcd stores; of a tombstone it has the key only
 *
 * Key "a" put with value "x" at revision 3, sub 0, after revision 2 (create and mod revision, version follow):
 *
 *     41 | crc | 01 00 | 0a 01 61 10 02 18 03 20 02 2a 01 78
 */
const FORMAT = 1;
const TOMBSTONE = 0x10;
const CREATED = 0x20;
const PREV = 0x40;
const JUMP = 0x80;
const CRC_AT = 1;

/** Where the checksummed part of a row starts. */
export const LOG_ROW_PREFIX_BYTES = 5;

/** One row of the log, decoded. One instance is pointed at many rows; the bytes are the backend's. */
export class LogRow {
  bytes: Uint8Array = new Uint8Array(0);
  main = 0;
  sub = 0;
  /** The key was deleted. */
  tombstone = false;
  /** The key came into being: what stood before is a tombstone or nothing. */
  created = false;
  /** Main revision of the version before this one; 0: there is none. */
  prevMain = 0;
  prevSub = 0;
  /** Main revision of the version that `jump` leads to; 0: there is none. */
  jumpMain = 0;
  jumpSub = 0;
  /** Where the KeyValue starts; it goes on to the end of the row. */
  keyValueStart = 0;

  get keyValueEnd(): number {
    return this.bytes.length;
  }
}

/** What is written in front of the KeyValue. */
export interface LogRowLinks {
  readonly tombstone: boolean;
  readonly created: boolean;
  readonly prevMain: number;
  readonly prevSub: number;
  readonly jumpMain: number;
  readonly jumpSub: number;
}

const reader = new VarintReader();

/**
 * Checks and decodes a row.
 * @throws CorruptionError when the checksum or the structure is wrong. @throws UnknownFormatError
 */
export function decodeLogRow(bytes: Uint8Array, main: number, sub: number, row: LogRow): void {
  if (bytes.length < LOG_ROW_PREFIX_BYTES) throw new CorruptionError(`log row ${main}/${sub} is cut short`);
  const first = bytes[0];
  const stored =
    (bytes[CRC_AT] | (bytes[CRC_AT + 1] << 8) | (bytes[CRC_AT + 2] << 16) | (bytes[CRC_AT + 3] << 24)) >>> 0;
  if (crc32(bytes.subarray(LOG_ROW_PREFIX_BYTES), seed(first, main, sub)) !== stored) {
    if ((first & 0x0f) > FORMAT) throw new UnknownFormatError(`log row ${main}/${sub}`, first & 0x0f, FORMAT);
    throw new CorruptionError(`log row ${main}/${sub} fails its checksum`);
  }
  if ((first & 0x0f) !== FORMAT) throw new UnknownFormatError(`log row ${main}/${sub}`, first & 0x0f, FORMAT);
  reader.reset(bytes, LOG_ROW_PREFIX_BYTES, bytes.length);
  row.bytes = bytes;
  row.main = main;
  row.sub = sub;
  row.tombstone = (first & TOMBSTONE) !== 0;
  row.created = (first & CREATED) !== 0;
  row.prevMain = 0;
  row.prevSub = 0;
  row.jumpMain = 0;
  row.jumpSub = 0;
  if ((first & PREV) !== 0) {
    row.prevMain = main - reader.next();
    row.prevSub = reader.next();
  }
  if ((first & JUMP) !== 0) {
    row.jumpMain = main - reader.next();
    row.jumpSub = reader.next();
  }
  row.keyValueStart = reader.at;
}

/** Bytes in front of the KeyValue. */
export function logRowPrefixSize(links: LogRowLinks, main: number): number {
  let size = LOG_ROW_PREFIX_BYTES;
  if (links.prevMain > 0) size += varintSize(main - links.prevMain) + varintSize(links.prevSub);
  if (links.jumpMain > 0) size += varintSize(main - links.jumpMain) + varintSize(links.jumpSub);
  return size;
}

/** Writes everything in front of the KeyValue except the checksum and returns where the KeyValue goes. */
export function writeLogRowPrefix(target: Buffer, at: number, links: LogRowLinks, main: number): number {
  target[at] =
    FORMAT |
    (links.tombstone ? TOMBSTONE : 0) |
    (links.created ? CREATED : 0) |
    (links.prevMain > 0 ? PREV : 0) |
    (links.jumpMain > 0 ? JUMP : 0);
  at += LOG_ROW_PREFIX_BYTES;
  if (links.prevMain > 0) {
    at = writeVarint(target, at, main - links.prevMain);
    at = writeVarint(target, at, links.prevSub);
  }
  if (links.jumpMain > 0) {
    at = writeVarint(target, at, main - links.jumpMain);
    at = writeVarint(target, at, links.jumpSub);
  }
  return at;
}

/**
 * Completes a row whose other bytes are in place.
 * @param covered What lies behind the first {@link LOG_ROW_PREFIX_BYTES} of the row.
 */
export function sealLogRow(row: Uint8Array, covered: Uint8Array, main: number, sub: number): void {
  const sum = crc32(covered, seed(row[0], main, sub));
  row[CRC_AT] = sum & 0xff;
  row[CRC_AT + 1] = (sum >>> 8) & 0xff;
  row[CRC_AT + 2] = (sum >>> 16) & 0xff;
  row[CRC_AT + 3] = sum >>> 24;
}

/** CRC is linear, so different seeds give different sums over the same bytes. */
function seed(first: number, main: number, sub: number): number {
  const high = Math.floor(main / 0x1_0000_0000);
  return (main ^ Math.imul(high, 0x85eb_ca6b) ^ Math.imul(sub, 0x9e37_79b1) ^ (first << 24)) >>> 0;
}
