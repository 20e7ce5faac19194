import { Buffer } from 'node:buffer';
import { BackendError } from '../backend/backend-error.js';
import { type ByteString } from '../backend/backend.js';

/**
 * How leases are stored. Ids are signed 64-bit numbers; in keys they stand big endian in two's complement.
 *
 *     lease     7f 00 00 00 00 00 00 2a           → 02 | 00 00 00 00 00 00 00 3c | 00 00 00 00 00 00 00 00 | 00 00 00 00 00 00 00 09
 *               id                                  format, granted TTL (60 s), checkpointed remainder (none), granted by entry 9
 *     leaseKey  7f 00 00 00 00 00 00 2a 'j' 'o' 'b' → (empty)
 *
 * Format 1 has no entry.
 */
const FORMAT = 2;
const ROW_BYTES = 25;
const FORMAT_1_BYTES = 17;

/** Length of an id in a key. */
export const LEASE_ID_BYTES = 8;

const scratch = Buffer.alloc(LEASE_ID_BYTES);

export interface LeaseRow {
  readonly ttlSeconds: number;
  /** Remaining seconds at the last checkpoint; 0 when there is none. */
  readonly checkpointSeconds: number;
  /** Index of the entry that granted it; 0 when that was not noted. */
  readonly grantedAt: number;
}

export function encodeLeaseId(id: bigint): ByteString {
  scratch.writeBigInt64BE(id);
  return scratch.toString('latin1');
}

export function decodeLeaseId(key: ByteString): bigint {
  scratch.write(key, 0, LEASE_ID_BYTES, 'latin1');
  return scratch.readBigInt64BE();
}

export function encodeLeaseRow(row: LeaseRow): Uint8Array {
  const bytes = Buffer.alloc(ROW_BYTES);
  bytes[0] = FORMAT;
  bytes.writeBigUInt64BE(BigInt(row.ttlSeconds), 1);
  bytes.writeBigUInt64BE(BigInt(row.checkpointSeconds), 9);
  bytes.writeBigUInt64BE(BigInt(row.grantedAt), 17);
  return bytes;
}

/** @throws BackendError when the row is damaged or of a newer format. */
export function decodeLeaseRow(row: Uint8Array): LeaseRow {
  if (row.length > 0 && row[0] > FORMAT) {
    throw new BackendError(
      'newer-format',
      `A lease is stored in format ${row[0]}, but this version reads formats up to ${FORMAT}. ` +
        'Start the version that wrote it, or a newer one.',
    );
  }
  const isFormat1 = row.length === FORMAT_1_BYTES && row[0] === 1;
  if (!isFormat1 && (row.length !== ROW_BYTES || row[0] !== FORMAT)) {
    throw new BackendError('damaged-file', `A lease is stored in ${row.length} bytes that cannot be read.`);
  }
  const bytes = Buffer.from(row.buffer, row.byteOffset, row.byteLength);
  return {
    ttlSeconds: Number(bytes.readBigUInt64BE(1)),
    checkpointSeconds: Number(bytes.readBigUInt64BE(9)),
    grantedAt: isFormat1 ? 0 : Number(bytes.readBigUInt64BE(17)),
  };
}

/** The first byte string after all that start with `prefix`; undefined when there is none. */
export function afterPrefix(prefix: ByteString): ByteString | undefined {
  let end = prefix.length;
  while (end > 0 && prefix.charCodeAt(end - 1) === 255) end--;
  if (end === 0) return undefined;
  return prefix.slice(0, end - 1) + String.fromCharCode(prefix.charCodeAt(end - 1) + 1);
}
