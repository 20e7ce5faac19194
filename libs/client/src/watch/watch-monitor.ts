import { type Revision } from '../kv/entry.js';

/**
 * Why a range is read again: its history was compacted away before it was delivered, another store answers, or the audit found
 * that a server did not tell a change.
 */
export type ResyncReason = 'compacted' | 'store-replaced' | 'lost-change';

/** What operators want to know of a watch. */
export interface WatchMonitor {
  /** A resync begins. Gives what is called at its end: with its outcome, or with undefined when it was given up. */
  resyncing(
    reason: ResyncReason,
  ): (outcome: { readonly revision: Revision; readonly changes: number } | undefined) => void;
  /** So many keys differ from what the server had told up to this revision. */
  lostChanges(count: number, position: Revision): void;
}

/** The monitor of a watch on the keys from `range` on. */
export type MonitorOf = (range: string) => WatchMonitor;

const unwatched = (): void => undefined;

/** Warns of changes that a server lost, and of nothing else. */
export function warningMonitor(range: string, warn: (warning: WatchWarning) => void): WatchMonitor {
  return {
    resyncing: () => unwatched,
    lostChanges: (count, position) => warn(lostChangeWarning(range, count, position)),
  };
}

/** A server did not tell a watch what it should have told; the watch has read it now. */
export interface WatchWarning {
  readonly code: 'watch-lost-change';
  readonly message: string;
  /** The key or prefix that is watched. */
  readonly range: string;
  readonly keys: number;
}

function lostChangeWarning(range: string, keys: number, position: Revision): WatchWarning {
  return {
    code: 'watch-lost-change',
    message: `a watch on '${range}' was not told of ${keys} changed keys up to revision ${position}: a server lost them; the watch has read them now, look at the members for damage`,
    range,
    keys,
  };
}
