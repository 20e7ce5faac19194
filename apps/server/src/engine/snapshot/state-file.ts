import { type Hash } from 'node:crypto';
import { type Disk, type DiskFile, parentPath, removeIfThere } from '../platform/disk.js';
import { corruptState, foreignState, otherState } from './snapshot-error.js';
import {
  beginDigest,
  checkDigest,
  decodeSeal,
  encodeSeal,
  sealBytes,
  type StateDescription,
  type StateKind,
  type StateMark,
} from './state-seal.js';

/** Read, hashed and written in one go: half a millisecond at most, between which others have their turn. */
const partBytes = 256 * 1024;
/** Synced in parts, so that nothing that shares the disk waits for one long sync. */
const syncBytes = 16 * 1024 * 1024;

/** What a state must be to be taken. */
export interface WantedState {
  readonly kind: StateKind;
  readonly mark: StateMark;
}

/** Writes a state file from its content. When this resolves, it is durable under its name. @throws DiskError */
export async function writeStateFile(
  disk: Disk,
  path: string,
  { kind, mark }: WantedState,
  content: Uint8Array,
): Promise<number> {
  const temporary = `${path}.tmp`;
  const digest = beginDigest();
  const file = await createAnew(disk, temporary);
  const sink = new SyncedFile(file);
  try {
    for (let at = 0; at < content.length; at += partBytes) {
      const part = content.subarray(at, at + partBytes);
      digest.update(part);
      await sink.write(part);
    }
    await sink.write(encodeSeal({ kind, mark, contentBytes: content.length }, digest));
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await disk.syncDirectory(parentPath(path));
  return content.length + sealBytes;
}

/** What a state file says of itself; only {@link copyContent} checks its content. @throws SnapshotError, DiskError */
export async function describeStateFile(disk: Disk, path: string): Promise<StateDescription> {
  const file = await disk.open(path, 'read');
  try {
    return (await readSeal(file)).description;
  } finally {
    await file.close();
  }
}

/**
 * Copies the content of a state file, checked to the last bit, to a file of its own, which is synced; its entry in the
 * directory is not. When this rejects, `to` may hold a part of it.
 *
 * @throws SnapshotError when the file is damaged or is not what is wanted; DiskError
 */
export async function copyContent(disk: Disk, path: string, wanted: WantedState, to: string): Promise<void> {
  const source = await disk.open(path, 'read');
  try {
    const { seal, description } = await readSeal(source);
    checkWanted(description, wanted, path);
    const target = await createAnew(disk, to);
    try {
      const digest = await copyParts(source, description.contentBytes, new SyncedFile(target));
      checkDigest(seal, digest, path);
      await target.sync();
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function readSeal(file: DiskFile): Promise<{ seal: Uint8Array; description: StateDescription }> {
  const size = await file.size();
  const seal = size < sealBytes ? new Uint8Array(0) : await file.read(size - sealBytes, sealBytes);
  return { seal, description: decodeSeal(seal, file.path, size) };
}

function checkWanted({ kind, mark }: StateDescription, wanted: WantedState, path: string): void {
  if (kind !== wanted.kind) {
    throw foreignState(path, `it was written by another kind of store (${kind}, not ${wanted.kind})`);
  }
  if (mark.index === wanted.mark.index && mark.term === wanted.mark.term) return;
  throw otherState(
    path,
    `it is of entry ${mark.index} in term ${mark.term}, but that of entry ${wanted.mark.index} in term ${wanted.mark.term} is needed`,
  );
}

async function copyParts(source: DiskFile, bytes: number, target: SyncedFile): Promise<Hash> {
  const digest = beginDigest();
  for (let at = 0; at < bytes; at += partBytes) {
    const part = await source.read(at, Math.min(partBytes, bytes - at));
    if (part.length === 0) throw corruptState(source.path, `it ends at ${at} while it is read`);
    digest.update(part);
    await target.write(part);
  }
  return digest;
}

async function createAnew(disk: Disk, path: string): Promise<DiskFile> {
  await removeIfThere(disk, path);
  return disk.open(path, 'create');
}

/** A file that grows at its end and is synced on the way. The last sync is its owner's. */
class SyncedFile {
  private offset = 0;
  private unsynced = 0;

  constructor(private readonly file: DiskFile) {}

  async write(bytes: Uint8Array): Promise<void> {
    await this.file.write(this.offset, bytes);
    this.offset += bytes.length;
    this.unsynced += bytes.length;
    if (this.unsynced < syncBytes) return;
    this.unsynced = 0;
    await this.file.sync();
  }
}
