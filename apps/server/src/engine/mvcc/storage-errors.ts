/**
 * Stored bytes are not what was written: a checksum fails, a row is cut short, or a row that must exist is missing.
 * The member's state cannot be trusted any more; it must neither serve nor vote until it is rebuilt.
 */
export class CorruptionError extends Error {
  override readonly name = 'CorruptionError';
}

/** A row was written by a later release, in a format that this one does not know. */
export class UnknownFormatError extends Error {
  override readonly name = 'UnknownFormatError';

  /** @param what The kind of row. @param found Its format. @param known The newest format that is understood. */
  constructor(what: string, found: number, known: number) {
    super(
      `${what} has format ${found}, but this release knows formats up to ${known}. ` +
        'Start the release that wrote this data directory, or restore a snapshot taken with this one.',
    );
  }
}
