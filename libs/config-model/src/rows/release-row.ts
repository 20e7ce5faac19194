import { type DocumentFormat, documentFormats } from '../formats/document.js';
import { formatRef, type NamespaceRef, parseRef } from '../keyspace/namespace-ref.js';
import { RowReader, rowVersion } from './row-reader.js';

/** The value of a release's key; it never changes. */
export interface ReleaseRow {
  readonly number: bigint;
  readonly sha256: string;
  readonly format: DocumentFormat;
  readonly extends: readonly NamespaceRef[];
  readonly content: string;
  readonly author: string;
  readonly comment: string;
  /** Milliseconds since the Unix epoch, for people. */
  readonly createdAt: number;
  /** The release that its author saw; 0n for the first one. */
  readonly basedOn: bigint;
}

/** @throws ConfigModelError `invalid-row`, `newer-format`, `invalid-name`. */
export function decodeRelease(text: string): ReleaseRow {
  const row = RowReader.open(text, 'the release');
  return {
    number: row.bigint('number'),
    sha256: row.string('sha256'),
    format: row.oneOf('format', documentFormats),
    extends: row.strings('extends').map(parseRef),
    content: row.string('content'),
    author: row.string('author'),
    comment: row.string('comment'),
    createdAt: row.integer('createdAt'),
    basedOn: row.bigint('basedOn'),
  };
}

export function encodeRelease(row: ReleaseRow): string {
  return JSON.stringify({
    version: rowVersion,
    ...row,
    number: row.number.toString(),
    extends: row.extends.map(formatRef),
    basedOn: row.basedOn.toString(),
  });
}
