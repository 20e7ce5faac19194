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

/** Who a member is, kept beside its data: its ids outlive changes of the flags that they were derived from. */
export interface StoredIdentity {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** The `initial-cluster-token` that the cluster was founded with. */
  readonly clusterToken: string;
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
  const { format: found, clusterId, memberId, clusterToken } = parse(path);
  if (typeof found === 'number' && found > format) {
    throw new IdentityFileError(
      `${path} has format ${found}; this version reads ${format}. Start the newer version that wrote it.`,
    );
  }
  const isHex = (id: unknown): id is string => typeof id === 'string' && /^[0-9a-f]{1,16}$/.test(id);
  if (found !== format || !isHex(clusterId) || !isHex(memberId) || typeof clusterToken !== 'string') {
    throw new IdentityFileError(`${path} is damaged. Restore the data directory from a backup.`);
  }
  return { clusterId: BigInt(`0x${clusterId}`), memberId: BigInt(`0x${memberId}`), clusterToken };
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
  { clusterId, memberId, clusterToken }: StoredIdentity,
): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, fileName);
  const temporary = `${path}.new`;
  const text = JSON.stringify({
    format,
    clusterId: clusterId.toString(16),
    memberId: memberId.toString(16),
    clusterToken,
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
