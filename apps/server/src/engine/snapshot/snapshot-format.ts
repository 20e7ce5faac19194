import { crc32 } from 'node:zlib';
import { FieldReader, MalformedFieldError, writeUint64 } from '../platform/fields.js';
import { type ConfState, type MemberId } from '../raft/message.js';

/**
 * A snapshot file. Numbers are little-endian.
 *
 *   head     4  magic: the characters `CSNP`
 *            1  format version (1), 3 zeros
 *            4  length M of the description
 *            4  CRC-32 of the 12 bytes before
 *            M  description: u64 cluster id, u64 index, u64 term, u32 auto leave (0 or 1), four lists of member ids (voters, learners, outgoing,
 *               learners next; each u32 count, u64 ids), u32 length and text of the cluster version
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
const membersMax = 1024;

/** The place in the log that a state is the result of, and the members at that place. */
export interface SnapshotMark {
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
}

/** What a snapshot says of itself. */
export interface SnapshotDescription {
  readonly clusterId: bigint;
  /** The version that gated commands when the snapshot was taken, as `3.5`; at most 64 bytes. */
  readonly clusterVersion: string;
  /** The state is the result of the log up to here. */
  readonly mark: SnapshotMark;
}

/** The bytes before the first chunk, and the CRC that chunks start from. @throws RangeError when a part exceeds its bound. */
export function encodeDescription(description: SnapshotDescription): { bytes: Uint8Array; crc: number } {
  const body = encodeBody(description);
  const bytes = new Uint8Array(headBytes + body.length + 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic, true);
  view.setUint8(4, snapshotFormat);
  view.setUint32(8, body.length, true);
  const headCrc = crc32(bytes.subarray(0, 12));
  view.setUint32(12, headCrc, true);
  bytes.set(body, headBytes);
  const crc = crc32(body, headCrc);
  view.setUint32(headBytes + body.length, crc, true);
  return { bytes, crc };
}

function memberLists(state: ConfState): readonly (readonly MemberId[])[] {
  return [state.voters, state.learners, state.outgoing, state.learnersNext];
}

function encodeBody({ clusterId, clusterVersion, mark }: SnapshotDescription): Uint8Array {
  const version = new TextEncoder().encode(clusterVersion);
  const lists = memberLists(mark.confState);
  if (version.length > versionBytesMax)
    throw new RangeError(`a cluster version has at most ${versionBytesMax} bytes`);
  if (lists.some((ids) => ids.length > membersMax))
    throw new RangeError(`a list has at most ${membersMax} members`);
  const size = 28 + lists.reduce((sum, ids) => sum + 4 + 8 * ids.length, 0) + 4 + version.length;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, clusterId, true);
  writeUint64(view, 8, mark.index);
  writeUint64(view, 16, mark.term);
  view.setUint32(24, mark.confState.autoLeave ? 1 : 0, true);
  let at = 28;
  for (const ids of lists) {
    view.setUint32(at, ids.length, true);
    at += 4;
    for (const id of ids) {
      view.setBigUint64(at, id, true);
      at += 8;
    }
  }
  view.setUint32(at, version.length, true);
  bytes.set(version, at + 4);
  return bytes;
}

/** The fixed head of a file. Undefined: it is not one, or is damaged. */
export function decodeHead(bytes: Uint8Array): { format: number; length: number; crc: number } | undefined {
  if (bytes.length < headBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const crc = crc32(bytes.subarray(0, 12));
  if (view.getUint32(0, true) !== magic || view.getUint32(12, true) !== crc) return undefined;
  return { format: view.getUint8(4), length: view.getUint32(8, true), crc };
}

/** The description and its CRC, from the `length + 4` bytes after the head. Undefined: damaged. */
export function decodeDescription(
  bytes: Uint8Array,
  length: number,
  headCrc: number,
): { description: SnapshotDescription; crc: number } | undefined {
  if (bytes.length !== length + 4) return undefined;
  const body = bytes.subarray(0, length);
  const crc = crc32(body, headCrc);
  if (new FieldReader(bytes.subarray(length)).uint32() !== crc) return undefined;
  try {
    return { description: decodeBody(new FieldReader(body)), crc };
  } catch (error) {
    if (error instanceof MalformedFieldError) return undefined;
    throw error;
  }
}

function decodeBody(reader: FieldReader): SnapshotDescription {
  const clusterId = reader.id();
  const [index, term, autoLeave] = [reader.counter(), reader.counter(), reader.flag()];
  const ids = (): MemberId[] => Array.from({ length: reader.count(membersMax) }, () => reader.id());
  const [voters, learners, outgoing, learnersNext] = [ids(), ids(), ids(), ids()];
  const clusterVersion = new TextDecoder().decode(reader.data(reader.count(versionBytesMax)));
  reader.finish();
  const confState = { voters, learners, outgoing, learnersNext, autoLeave };
  return { clusterId, clusterVersion, mark: { index, term, confState } };
}
