import {
  decodeRelease,
  type DocumentHead,
  type NamespaceId,
  type ParsedDocument,
  parseDocument,
  releaseKey,
} from '@conclave/config-model';
import { createHash } from 'node:crypto';
import { type Kv } from '../kv/kv.js';
import { type Revision } from '../kv/entry.js';
import { type ReleaseChoice, type StoredRow, textOf } from './release-choice.js';

/** A release whose document was read. */
export interface LoadedRelease {
  readonly head: DocumentHead;
  readonly gray: string | undefined;
  readonly modRevision: Revision;
  readonly text: string;
  readonly document: ParsedDocument;
  /** The release's own row, when the document did not stand in the row that chose it. */
  readonly contentRow: StoredRow | undefined;
}

/** A release that cannot be applied, however often it is tried. */
export class UnusableReleaseError extends Error {
  override readonly name = 'UnusableReleaseError';
}

/**
 * Reads the document of a release whose content is at hand.
 *
 * @param contentRow the row of the release, for content that does not stand in the head.
 * @throws UnusableReleaseError when the content is not the one that was released; ConfigModelError when it cannot be parsed.
 */
export function loadRelease(choice: ReleaseChoice, contentRow: StoredRow | undefined): LoadedRelease {
  const { head } = choice;
  const text =
    head.content ?? (contentRow === undefined ? undefined : decodeRelease(textOf(contentRow.value)).content);
  if (text === undefined) {
    throw new UnusableReleaseError(
      `the document of release ${head.release} is not in the store any more; publish it again`,
    );
  }
  const sha256 = createHash('sha256').update(text, 'utf8').digest('hex');
  if (sha256 !== head.sha256) {
    throw new UnusableReleaseError(
      `the document of release ${head.release} has the checksum ${sha256}, it was released with ${head.sha256}; publish it again`,
    );
  }
  return { ...choice, text, document: parseDocument(head.format, text), contentRow };
}

/** The row of a release, or undefined when it is gone. @throws ConclaveError (rejects). */
export async function fetchContent(
  kv: Kv,
  id: NamespaceId,
  release: bigint,
  signal: AbortSignal,
): Promise<StoredRow | undefined> {
  const entry = await kv.get(releaseKey(id, release), { signal });
  return entry === null ? undefined : { key: entry.key, value: entry.value, modRevision: entry.modRevision };
}
