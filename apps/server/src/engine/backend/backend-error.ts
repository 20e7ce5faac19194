/**
 * What can be wrong with the file of a backend:
 *
 * - `newer-format`: a newer version of the program wrote it.
 * - `foreign-file`: it is not a state file of this program.
 * - `damaged-file`: it is one, but it cannot be read.
 * - `no-space`: the disk, or this user's share of it, is full.
 * - `io`: reading or writing failed.
 */
export type BackendErrorCode = 'newer-format' | 'foreign-file' | 'damaged-file' | 'no-space' | 'io';

/** Thrown when a state file cannot be opened, and given to `onFailure` when it can no longer be written. */
export class BackendError extends Error {
  override readonly name = 'BackendError';

  constructor(
    readonly code: BackendErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
