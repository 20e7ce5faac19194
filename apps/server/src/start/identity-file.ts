import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type FoundingMember } from '../engine/engine-options.js';

/** Who a member is, kept beside its data: its ids outlive changes of the flags that they were derived from. */
export interface StoredIdentity {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** The `initial-cluster-token` that the cluster was founded with. */
  readonly clusterToken: string;
  /**
   * All members that the cluster was founded with; empty when this member joined it later. Undefined in files of
   * members that founded a cluster alone, before there were others.
   */
  readonly foundingMembers?: readonly FoundingMember[];
}

/** A data directory is not this member's, or does not say whose it is: nothing in it may be touched. */
export class IdentityFileError extends Error {
  override readonly name = 'IdentityFileError';
}

const format = 1;
const fileName = 'identity.json';

/**
 * Reads who the data in a directory belongs to.
 *
 * @returns Undefined when the directory has no identity yet.
 * @throws IdentityFileError when the file is damaged or was written by a newer version.
 */
export function readIdentity(directory: string): StoredIdentity | undefined {
  const path = join(directory, fileName);
  if (!existsSync(path)) return undefined;
  const { format: found, clusterId, memberId, clusterToken, foundingMembers } = parse(path);
  if (typeof found === 'number' && found > format) {
    throw new IdentityFileError(
      `${path} has format ${found}; this version reads ${format}. Start the newer version that wrote it.`,
    );
  }
  const members = foundingMembers === undefined ? undefined : readMembers(foundingMembers);
  const isIntact =
    isHex(clusterId) && isHex(memberId) && typeof clusterToken === 'string' && members !== 'damaged';
  if (found !== format || !isIntact) {
    throw new IdentityFileError(`${path} is damaged. Restore the data directory from a backup.`);
  }
  return {
    clusterId: BigInt(`0x${clusterId}`),
    memberId: BigInt(`0x${memberId}`),
    clusterToken,
    ...(members === undefined ? {} : { foundingMembers: members }),
  };
}

function isHex(id: unknown): id is string {
  return typeof id === 'string' && /^[0-9a-f]{1,16}$/.test(id);
}

function readMembers(value: unknown): FoundingMember[] | 'damaged' {
  if (!Array.isArray(value)) return 'damaged';
  const members: FoundingMember[] = [];
  for (const each of value as unknown[]) {
    if (typeof each !== 'object' || each === null) return 'damaged';
    const { id, name, peerUrls } = each as Record<string, unknown>;
    if (!isHex(id) || typeof name !== 'string' || !Array.isArray(peerUrls)) return 'damaged';
    if (!peerUrls.every((url) => typeof url === 'string')) return 'damaged';
    members.push({ id: BigInt(`0x${id}`), name, peerUrls });
  }
  return members;
}

function parse(path: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    throw new IdentityFileError(`${path} is not JSON. Restore the data directory from a backup.`, {
      cause: error,
    });
  }
}

/** Writes the identity durably: the file is complete or absent after a crash. */
export function writeIdentity(
  directory: string,
  { clusterId, memberId, clusterToken, foundingMembers }: StoredIdentity,
): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, fileName);
  const temporary = `${path}.new`;
  const text = JSON.stringify({
    format,
    clusterId: clusterId.toString(16),
    memberId: memberId.toString(16),
    clusterToken,
    foundingMembers: foundingMembers?.map(({ id, ...rest }) => ({ id: id.toString(16), ...rest })),
  });
  const file = openSync(temporary, 'w', 0o600);
  writeSync(file, `${text}\n`);
  fsyncSync(file);
  closeSync(file);
  renameSync(temporary, path);
  const parent = openSync(directory, 'r');
  fsyncSync(parent);
  closeSync(parent);
}
