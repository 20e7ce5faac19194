/** `corrupt`: the file is damaged or incomplete. `newer format`: a later release wrote it. `foreign`: it is of another cluster. */
export type SnapshotErrorCode = 'corrupt' | 'newer format' | 'foreign';

/** Is thrown when a snapshot file must not be used. The message names the file, the reason and what to do. */
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

export function corruptSnapshot(path: string, offset: number, reason: string): SnapshotError {
  return new SnapshotError(
    'corrupt',
    path,
    `the snapshot ${path} is damaged at offset ${offset}: ${reason}. Move it away; an earlier snapshot or another member can ` +
      'replace it.',
  );
}
