import { type RevisionBatch } from '../watch/revision-batch.js';

/**
 * The watch delivers again what was read ahead of it. A resync may be about the very revision that was reached, when an
 * earlier change was lost.
 */
export function isPast(
  { revision, cause }: Pick<RevisionBatch, 'revision' | 'cause'>,
  position: bigint,
): boolean {
  if (cause === 'store-replaced') return false;
  return cause === 'resync' ? revision < position : revision <= position;
}
