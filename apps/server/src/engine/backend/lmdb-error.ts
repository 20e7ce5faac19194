import { BackendError } from './backend-error.js';

/** LMDB's own error numbers (lmdb.h) and those of the system that mean lack of space. */
const PAGE_NOTFOUND = -30_797;
const CORRUPTED = -30_796;
const VERSION_MISMATCH = -30_794;
const INVALID = -30_793;
const MAP_FULL = -30_792;
const EFBIG = 27;
const ENOSPC = 28;
const EDQUOT = process.platform === 'darwin' ? 69 : 122;

/** What LMDB reported as a typed error that says what to do. */
export function asBackendError(error: unknown, path: string): BackendError {
  if (error instanceof BackendError) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  const code = 'code' in cause && typeof cause.code === 'number' ? cause.code : 0;
  switch (code) {
    case MAP_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return noSpace(path, cause);
    case INVALID:
    case VERSION_MISMATCH:
      return foreignFile(path, cause);
    case CORRUPTED:
    case PAGE_NOTFOUND:
      return damagedFile(path, cause.message, cause);
    default:
      return new BackendError('io', `The state file ${path} cannot be used: ${cause.message}`, { cause });
  }
}

export function noSpace(path: string, cause: Error): BackendError {
  const message = `There is no space left on the disk of the state file ${path}. Free some, or enlarge the disk.`;
  return new BackendError('no-space', message, { cause });
}

export function foreignFile(path: string, cause?: Error): BackendError {
  return new BackendError(
    'foreign-file',
    `${path} is not a state file of this program. Check the data directory; move the file away if it is not needed.`,
    { cause },
  );
}

export function damagedFile(path: string, what: string, cause?: Error): BackendError {
  return new BackendError(
    'damaged-file',
    `The state file ${path} is damaged: ${what}. Restore the member from a snapshot, ` +
      'or remove it from the cluster and add it again with an empty data directory.',
    { cause },
  );
}
