import { crc32 } from 'node:zlib';
import { MalformedPayloadError, markSize, readMark, writeMark } from '../wal/payload.js';
import { recordBytes } from '../wal/record.js';
import { type LogMark } from '../wal/state.js';

/**
 * A snapshot file. Numbers are little-endian.
 *
 *   head     4  magic: the characters `CSNP`
 *            1  format version (1), 3 zeros
 *            4  length M of the description
 *            4  CRC-32 of the 12 bytes before
 *            M  description: u64 cluster id, u32 length and text of the cluster version, mark (see `wal/payload.ts`)
 *            4  CRC-32 of the description, started from the CRC before
 *   chunks   4  length N, 1 to 1 MiB
 *            4  CRC-32 of the payload, started from the CRC of the part before: chunks cannot be swapped
 *            N  payload
 *   end      4  zero
 *            8  bytes of payload in all chunks
 *           32  SHA-256 of everything before
 *
 * Each chunk can be checked as it arrives; only the digest at the end says that the whole is complete.
 */
export const snapshotFormat = 1;
export const headBytes = 16;
export const chunkHeadBytes = 8;
export const chunkBytesMax = 1024 * 1024;
export const endBytes = 4 + 8 + 32;
/** Four lists of 1,024 members and a version fit. */
export const descriptionBytesMax = 64 * 1024;

const magic = 0x504e_5343;
const versionBytesMax = 64;

/** What a snapshot says of itself. */
export interface SnapshotDescription {
  readonly clusterId: bigint;
  /** The version that gated commands when the snapshot was taken, as `3.5`; at most 64 bytes. */
  readonly clusterVersion: string;
  /** The state is the result of the log up to here. */
  readonly mark: LogMark;
}

/** The bytes before the first chunk, and the CRC that chunks start from. */
export function encodeDescription(description: SnapshotDescription): { bytes: Uint8Array; crc: number } {
  const version = new TextEncoder().encode(description.clusterVersion);
  if (version.length > versionBytesMax) throw new RangeError('a cluster version has at most 64 bytes');
  const length = 12 + version.length + markSize(description.mark);
  const target = recordBytes(new Uint8Array(headBytes + length + 4));
  const { bytes, view } = target;
  view.setUint32(0, magic, true);
  view.setUint8(4, snapshotFormat);
  view.setUint32(8, length, true);
  const headCrc = crc32(bytes.subarray(0, 12));
  view.setUint32(12, headCrc, true);
  view.setBigUint64(headBytes, description.clusterId, true);
  view.setUint32(headBytes + 8, version.length, true);
  bytes.set(version, headBytes + 12);
  writeMark(target, headBytes + 12 + version.length, description.mark);
  const crc = crc32(bytes.subarray(headBytes, headBytes + length), headCrc);
  view.setUint32(headBytes + length, crc, true);
  return { bytes, crc };
}

/** The fixed head of a file. Undefined: it is not one, or is damaged. */
export function decodeHead(bytes: Uint8Array): { format: number; length: number; crc: number } | undefined {
  if (bytes.length < headBytes) return undefined;
  const { view } = recordBytes(bytes);
  const crc = crc32(bytes.subarray(0, 12));
  if (view.getUint32(0, true) !== magic || view.getUint32(12, true) !== crc) return undefined;
  return { format: view.getUint8(4), length: view.getUint32(8, true), crc };
}

/** The description and its CRC, from `length + 4` bytes after the head. Undefined: damaged. */
export function decodeDescription(
  bytes: Uint8Array,
  length: number,
  headCrc: number,
): { description: SnapshotDescription; crc: number } | undefined {
  if (bytes.length !== length + 4 || length < 12) return undefined;
  const source = recordBytes(bytes);
  const { view } = source;
  const crc = crc32(bytes.subarray(0, length), headCrc);
  if (view.getUint32(length, true) !== crc) return undefined;
  const versionLength = view.getUint32(8, true);
  if (versionLength > versionBytesMax || 12 + versionLength > length) return undefined;
  const clusterVersion = new TextDecoder().decode(bytes.subarray(12, 12 + versionLength));
  try {
    const mark = readMark(source, 12 + versionLength, length - 12 - versionLength);
    return { description: { clusterId: view.getBigUint64(0, true), clusterVersion, mark }, crc };
  } catch (error) {
    if (error instanceof MalformedPayloadError) return undefined;
    throw error;
  }
}
