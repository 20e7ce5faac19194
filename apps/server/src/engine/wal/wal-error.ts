/**
 * Why a log cannot be opened or used:
 * - `corrupt`: data that was proven to be durable is damaged or gone ({@link WalCorruptionError}).
 * - `missing`: there is no log, and the caller did not ask for a new one.
 * - `missing segment`, `duplicate segment`, `renamed segment`, `unknown file`: the set of files is not what was written.
 * - `foreign`: the log belongs to another cluster or member.
 * - `newer format`: written by a newer release.
 * - `no space`: not even the smallest segment could be created.
 */
export type WalErrorCode =
  | 'corrupt'
  | 'missing'
  | 'missing segment'
  | 'duplicate segment'
  | 'renamed segment'
  | 'unknown file'
  | 'foreign'
  | 'newer format'
  | 'no space';

/** Opening a log was refused. The message names the file, the reason and what to do. */
export class WalError extends Error {
  override readonly name: string = 'WalError';

  constructor(
    readonly code: WalErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Where durable data is damaged. */
export interface CorruptionPlace {
  /** Path of the file. */
  readonly segment: string;
  /** Offset of the record that cannot be read. */
  readonly offset: number;
  /** The sequence number that was expected there; 0 when it is unknown. */
  readonly lsn: number;
  /** Raft index of the first entry that can no longer be read; 0 when it is unknown. */
  readonly index: number;
}

/**
 * Is thrown when a record that is proven to have been durable cannot be read. The member must neither vote nor serve: it may have
 * promised a vote or acknowledged an entry that it no longer knows.
 */
export class WalCorruptionError extends WalError implements CorruptionPlace {
  override readonly name = 'WalCorruptionError';
  readonly segment: string;
  readonly offset: number;
  readonly lsn: number;
  readonly index: number;

  constructor(place: CorruptionPlace, reason: string) {
    super(
      'corrupt',
      `the write-ahead log is damaged: ${place.segment} at offset ${place.offset} (record ${place.lsn}, raft index ${place.index}): ` +
        `${reason}. The disk lost or changed data that it had confirmed. Check the disk; then remove this member from the cluster, move its data ` +
        'directory away and add it again as a learner. A single member is restored from a backup.',
    );
    this.segment = place.segment;
    this.offset = place.offset;
    this.lsn = place.lsn;
    this.index = place.index;
  }
}
