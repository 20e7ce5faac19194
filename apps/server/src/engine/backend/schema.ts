import { Buffer } from 'node:buffer';
import { assert } from '../platform/assert.js';
import { type AppliedMark, type ByteString, type Table } from './backend.js';

/**
 * Names and key forms that the implementations of the backend share.
 *
 * Log keys are main u64 big endian followed by sub u32 big endian, so that byte order is revision order:
 *
 *     revision 258, second change   00 00 00 00 00 00 01 02 | 00 00 00 01
 */
export const TABLES: readonly Table[] = ['head', 'lease', 'leaseKey', 'meta'];

/** The place of a table in {@link TABLES}. */
export function tableNumber(table: Table): number {
  switch (table) {
    case 'head':
      return 0;
    case 'lease':
      return 1;
    case 'leaseKey':
      return 2;
    case 'meta':
      return 3;
  }
}

/** The format of the file that this version writes; it reads all formats from 1 to this one. */
export const FILE_FORMAT = 1;

/** Keys of tables that are this long, or empty, lie in the shared rows of `odd`: LMDB's own keys end at 1,978 bytes. */
export const ODD_KEY_BYTES_MIN = 1_900;

/** Whether a key cannot be a key of the file as it is. */
export function isOddKey(key: ByteString): boolean {
  return key.length >= ODD_KEY_BYTES_MIN || key.length === 0;
}

/** The key of the shared row that holds an odd key of a table. */
export function oddRowKey(table: number, key: ByteString): ByteString {
  return String.fromCharCode(table) + key.slice(0, ODD_KEY_BYTES_MIN);
}

/** The largest value of `sub`: it has four bytes in a key. */
export const SUB_MAX = 0xffff_ffff;

export function assertLogPosition(main: number, sub: number): void {
  assert(Number.isSafeInteger(main) && main >= 0, 'a main revision is a safe integer from 0');
  assert(Number.isInteger(sub) && sub >= 0 && sub <= SUB_MAX, 'a sub revision is an unsigned 32-bit integer');
}

/** The log key of a position as a byte string. */
export function encodeLogKey(main: number, sub: number): ByteString {
  assertLogPosition(main, sub);
  const high = Math.floor(main / 0x1_0000_0000);
  const low = main >>> 0;
  return (
    String.fromCharCode(high >>> 24, (high >>> 16) & 255, (high >>> 8) & 255, high & 255) +
    String.fromCharCode(low >>> 24, (low >>> 16) & 255, (low >>> 8) & 255, low & 255) +
    String.fromCharCode(sub >>> 24, (sub >>> 16) & 255, (sub >>> 8) & 255, sub & 255)
  );
}

/** Main revision of a log key that {@link encodeLogKey} made. */
export function mainOfLogKey(key: ByteString): number {
  return unsigned32(key, 0) * 0x1_0000_0000 + unsigned32(key, 4);
}

/** Sub revision of a log key that {@link encodeLogKey} made. */
export function subOfLogKey(key: ByteString): number {
  return unsigned32(key, 8);
}

function unsigned32(key: ByteString, at: number): number {
  return (
    ((key.charCodeAt(at) << 24) |
      (key.charCodeAt(at + 1) << 16) |
      (key.charCodeAt(at + 2) << 8) |
      key.charCodeAt(at + 3)) >>>
    0
  );
}

const MARK_BYTES = 24;

/** An applied mark as the file has it: index u64, term u64 and the complement of their sum u64, big endian. */
export function encodeMark(mark: AppliedMark): Uint8Array {
  const bytes = Buffer.alloc(MARK_BYTES);
  bytes.writeBigUInt64BE(BigInt(mark.index), 0);
  bytes.writeBigUInt64BE(BigInt(mark.term), 8);
  bytes.writeBigUInt64BE(markCheck(BigInt(mark.index), BigInt(mark.term)), 16);
  return bytes;
}

/** The mark, or undefined when the bytes are none. */
export function decodeMark(row: Uint8Array): AppliedMark | undefined {
  if (row.length !== MARK_BYTES) return undefined;
  const bytes = Buffer.from(row);
  const index = bytes.readBigUInt64BE(0);
  const term = bytes.readBigUInt64BE(8);
  if (bytes.readBigUInt64BE(16) !== markCheck(index, term)) return undefined;
  return { index: Number(index), term: Number(term) };
}

function markCheck(index: bigint, term: bigint): bigint {
  return BigInt.asUintN(64, ~(index + term));
}

const FORMAT_NAME = 'conclave state';

/** The row that names the format: the program's name for it, then its number u32 big endian. */
export function encodeFormat(format: number): Uint8Array {
  const bytes = Buffer.alloc(FORMAT_NAME.length + 4);
  bytes.write(FORMAT_NAME, 'latin1');
  bytes.writeUInt32BE(format, FORMAT_NAME.length);
  return bytes;
}

/** The number of the format, or undefined when the row names none. */
export function decodeFormat(row: Uint8Array): number | undefined {
  const bytes = Buffer.from(row);
  if (bytes.length !== FORMAT_NAME.length + 4) return undefined;
  if (bytes.toString('latin1', 0, FORMAT_NAME.length) !== FORMAT_NAME) return undefined;
  return bytes.readUInt32BE(FORMAT_NAME.length);
}
