import { ConfigModelError } from '../error.js';
import { type DocumentFormat } from '../formats/document.js';
import { currentKey, type NamespaceId, releaseKey } from '../keyspace/keys.js';
import { type NamespaceRef } from '../keyspace/namespace-ref.js';
import { encodeCurrent } from './current-row.js';
import { encodeRelease } from './release-row.js';

/** A document that is put in force. */
export interface PublishedDocument {
  readonly id: NamespaceId;
  /** Greater than that of every release of this namespace before. */
  readonly number: bigint;
  /** The release that was in force; 0n when there was none. */
  readonly basedOn: bigint;
  readonly format: DocumentFormat;
  readonly content: string;
  /** Of the content's UTF-8 bytes, as 64 hexadecimal digits. */
  readonly sha256: string;
  /** Default: none. */
  readonly extends?: readonly NamespaceRef[];
}

/** Who puts documents in force, and why. */
export interface Publication {
  readonly author: string;
  readonly comment: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
}

export interface Row {
  readonly key: string;
  readonly value: string;
}

/** Documents stand in the rows that their readers watch as long as all of one release together are no longer than this. */
const inlineBytesMax = 1024 * 1024;

/**
 * All rows of one release, to be written in one transaction: the immutable release of each document, and what makes it the current one.
 *
 * @throws ConfigModelError `invalid-name` when they are of several environments, which no reader could hold together.
 */
export function publicationRows(documents: readonly PublishedDocument[], about: Publication): readonly Row[] {
  const [first] = documents;
  if (documents.some(({ id }) => id.env !== first?.id.env)) {
    throw new ConfigModelError('invalid-name', 'the documents of one release belong to one environment');
  }
  const bytes = documents.reduce((sum, { content }) => sum + new TextEncoder().encode(content).length, 0);
  const group =
    documents.length > 1 ? documents.map(({ id: { app, namespace } }) => ({ app, namespace })) : [];
  return documents.flatMap(({ id, number, basedOn, content, ...document }) => {
    const head = { sha256: document.sha256, format: document.format, extends: document.extends ?? [] };
    const inline = bytes <= inlineBytesMax ? content : undefined;
    return [
      { key: releaseKey(id, number), value: encodeRelease({ ...head, number, basedOn, content, ...about }) },
      { key: currentKey(id), value: encodeCurrent({ ...head, release: number, group, content: inline }) },
    ];
  });
}
