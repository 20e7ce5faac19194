import { documentFormats, type DocumentFormat } from '../formats/document.js';
import { formatRef, type NamespaceRef, parseRef } from '../keyspace/namespace-ref.js';
import { type RowReader } from './row-reader.js';

/** The document that a row puts in force. */
export interface DocumentHead {
  /** The release that it is: its number within the namespace. */
  readonly release: bigint;
  /** Of the content's UTF-8 bytes, as 64 hexadecimal digits. With the release number it identifies what an instance applied. */
  readonly sha256: string;
  readonly format: DocumentFormat;
  /** Public namespaces below this document; later ones win over earlier ones. Those that they extend themselves do not count. */
  readonly extends: readonly NamespaceRef[];
  /** Every namespace that was released in the same transaction, this one included; empty for a release of its own. */
  readonly group: readonly NamespaceRef[];
  /** Undefined: too long to stand here; the row of the release has it. */
  readonly content: string | undefined;
}

export function readHead(row: RowReader): DocumentHead {
  const sha256 = row.string('sha256');
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw row.wrong('sha256', '64 hexadecimal digits');
  return {
    release: row.bigint('release'),
    sha256,
    format: row.oneOf('format', documentFormats),
    extends: row.strings('extends').map(parseRef),
    group: row.strings('group').map(parseRef),
    content: row.optionalString('content'),
  };
}

/** The fields of a row that hold a head. */
export function headFields(head: DocumentHead): object {
  return {
    release: head.release.toString(),
    sha256: head.sha256,
    format: head.format,
    ...(head.extends.length === 0 ? {} : { extends: head.extends.map(formatRef) }),
    ...(head.group.length === 0 ? {} : { group: head.group.map(formatRef) }),
    ...(head.content === undefined ? {} : { content: head.content }),
  };
}
