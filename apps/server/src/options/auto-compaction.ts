import { parseDuration } from './duration.js';

/** When the history is compacted without being asked. */
export type AutoCompaction =
  | { readonly mode: 'off' }
  /** Keeps what is younger than this. */
  | { readonly mode: 'periodic'; readonly retentionMs: number }
  /** Keeps the newest revisions. */
  | { readonly mode: 'revision'; readonly retentionRevisions: number };

const hourMs = 3_600_000;

/**
 * Reads `auto-compaction-retention` by its mode. A plain number is hours in periodic mode, as in etcd.
 *
 * @returns A sentence about what is wrong instead, if it cannot be read.
 */
export function parseAutoCompaction(mode: 'periodic' | 'revision', text: string): AutoCompaction | string {
  const isNumber = /^\d{1,15}$/.test(text);
  if (mode === 'revision') {
    if (!isNumber) return 'in revision mode it must be a whole number of revisions, 0 or more';
    return Number(text) === 0 ? { mode: 'off' } : { mode: 'revision', retentionRevisions: Number(text) };
  }
  const retentionMs = isNumber ? Number(text) * hourMs : parseDuration(text);
  if (retentionMs === undefined)
    return 'in periodic mode it must be a duration such as 30m, or a whole number of hours';
  if (retentionMs === 0) return { mode: 'off' };
  if (retentionMs < 1_000) return 'in periodic mode it must be 0 or at least 1s';
  if (retentionMs > Number.MAX_SAFE_INTEGER) return 'it is too long';
  return { mode: 'periodic', retentionMs };
}
