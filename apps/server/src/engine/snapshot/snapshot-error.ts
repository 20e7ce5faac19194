/**
 * Why a state is not put into use:
 *
 * - `corrupt`: the file is damaged or incomplete.
 * - `newer format`: a later release wrote it.
 * - `foreign`: it is no state file, or one that this kind of store cannot hold.
 * - `other state`: it is intact, but not the state that was expected, or not newer than the one that the member has.
 */
export type SnapshotErrorCode = 'corrupt' | 'newer format' | 'foreign' | 'other state';

/** Is thrown when a state must not be used. The message names the file, the reason and what to do; nothing was changed. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError';

  constructor(
    readonly code: SnapshotErrorCode,
    readonly path: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export function corruptState(path: string, reason: string): SnapshotError {
  return new SnapshotError(
    'corrupt',
    path,
    `the state ${path} is damaged: ${reason}. It was not put into use; remove it, and let the leader send another.`,
  );
}

/** The error for a file that is no state file of a known kind. */
export function foreignState(path: string, reason: string): SnapshotError {
  return new SnapshotError(
    'foreign',
    path,
    `${path} is not a state that this member can use: ${reason}. Take one that a member of this cluster wrote.`,
  );
}

/** The error for an intact state that is not the one that is wanted. */
export function otherState(path: string, reason: string): SnapshotError {
  return new SnapshotError('other state', path, `the state ${path} was not put into use: ${reason}.`);
}
