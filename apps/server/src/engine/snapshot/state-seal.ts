import { createHash, type Hash } from 'node:crypto';
import { FieldReader, writeUint64 } from '../platform/fields.js';
import { corruptState, foreignState, SnapshotError } from './snapshot-error.js';

/**
 * A state file: the whole state of a member at one applied entry, as members send it to each other. Numbers are
 * little-endian.
 *
 *   content  N  what the kind of store writes for itself
 *   seal     4  magic: the characters `CSTF`
 *            1  format version (1)
 *            1  kind of content: 1 an LMDB file, 2 rows (see backend/memory-state.ts)
 *            2  zero
 *            8  N
 *            8  raft index of the last entry that the state holds
 *            8  term of that entry
 *           32  SHA-256 of everything before
 *
 * The seal comes last, so that a store can write its content by itself and in one pass, and so that a file that was cut
 * off has none.
 */
export const stateFormat = 1;
export const sealBytes = 64;

const magic = 0x4654_5343;
const digestAt = 32;

export const StateKind = { lmdb: 1, rows: 2 } as const;
export type StateKind = (typeof StateKind)[keyof typeof StateKind];

/** How far a state goes: the last entry that it holds the effects of, and its term. */
export interface StateMark {
  readonly index: number;
  readonly term: number;
}

/** What a state file says of itself. */
export interface StateDescription {
  readonly kind: StateKind;
  readonly mark: StateMark;
  /** Size of the content; the file is longer by the seal. */
  readonly contentBytes: number;
}

/** The digest of a file whose content comes in parts. */
export function beginDigest(): Hash {
  return createHash('sha256');
}

/** The seal of a content that `digest` has taken in; ends the digest. */
export function encodeSeal(description: StateDescription, digest: Hash): Uint8Array {
  const { kind, mark, contentBytes } = description;
  const seal = new Uint8Array(sealBytes);
  const view = new DataView(seal.buffer);
  view.setUint32(0, magic, true);
  view.setUint8(4, stateFormat);
  view.setUint8(5, kind);
  writeUint64(view, 8, contentBytes);
  writeUint64(view, 16, mark.index);
  writeUint64(view, 24, mark.term);
  seal.set(digest.update(seal.subarray(0, digestAt)).digest(), digestAt);
  return seal;
}

/**
 * Reads a seal, the last {@link sealBytes} of a file; its digest is checked by {@link checkDigest} when the content was
 * read.
 * @throws SnapshotError
 */
export function decodeSeal(seal: Uint8Array, path: string, fileBytes: number): StateDescription {
  if (seal.length !== sealBytes) throw corruptState(path, `it has ${fileBytes} bytes, less than a seal`);
  const view = new DataView(seal.buffer, seal.byteOffset, seal.byteLength);
  if (view.getUint32(0, true) !== magic) {
    throw corruptState(path, 'it does not end with a seal: it is incomplete, or no state file');
  }
  const format = view.getUint8(4);
  if (format > stateFormat) {
    throw new SnapshotError(
      'newer format',
      path,
      `the state ${path} has format ${format}; this release reads formats up to ${stateFormat}. Upgrade this member to the release of ` +
        'the member that sent it.',
    );
  }
  const kind = view.getUint8(5);
  if (format < 1 || view.getUint16(6, true) !== 0) throw corruptState(path, 'its seal makes no sense');
  if (kind !== StateKind.lmdb && kind !== StateKind.rows) throw foreignState(path, `kind ${kind} is unknown`);
  return { kind, ...readCounters(seal, path, fileBytes) };
}

function readCounters(seal: Uint8Array, path: string, fileBytes: number): Omit<StateDescription, 'kind'> {
  const fields = new FieldReader(seal.subarray(8, digestAt));
  let contentBytes: number;
  let mark: StateMark;
  try {
    contentBytes = fields.counter();
    mark = { index: fields.counter(), term: fields.counter() };
  } catch (error) {
    throw corruptState(path, error instanceof Error ? error.message : String(error));
  }
  if (contentBytes + sealBytes !== fileBytes) {
    throw corruptState(path, `it has ${fileBytes} bytes and should have ${contentBytes + sealBytes}`);
  }
  return { mark, contentBytes };
}

/** Compares the digest of the content that was read with the seal's; ends the digest. @throws SnapshotError */
export function checkDigest(seal: Uint8Array, digest: Hash, path: string): void {
  const actual = digest.update(seal.subarray(0, digestAt)).digest();
  if (!actual.equals(seal.subarray(digestAt))) throw corruptState(path, 'its digest is wrong');
}
