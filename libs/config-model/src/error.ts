/** What is wrong, as a closed set: callers switch on it and never on a message. */
export type ConfigModelErrorCode =
  | 'invalid-name'
  | 'invalid-key'
  | 'invalid-row'
  /** Written by a newer version of the program; the remedy is to upgrade this one. */
  | 'newer-format'
  | 'invalid-document'
  | 'invalid-overlay'
  | 'invalid-rule'
  /** A sealed value cannot be opened. */
  | 'invalid-secret';

/** A place in a document; both count from 1, columns in UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A name, key, row, document or rule that cannot be used. The message says what is wrong, where, and what is allowed. */
export class ConfigModelError extends Error {
  override readonly name = 'ConfigModelError';

  constructor(
    readonly code: ConfigModelErrorCode,
    message: string,
    /** Where in the document, for `invalid-document`. */
    readonly position?: Position,
  ) {
    super(position === undefined ? message : `line ${position.line}, column ${position.column}: ${message}`);
  }
}
