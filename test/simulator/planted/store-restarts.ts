import { type AppliedMark } from '../../../apps/server/src/engine/backend/backend.js';
import { type MemoryBackend } from '../../../apps/server/src/engine/backend/memory-backend.js';
import { decodeHead, Head } from '../../../apps/server/src/engine/mvcc/head-row.js';
import { loadState, saveState } from '../../../apps/server/src/engine/mvcc/state-row.js';
import { type RestartedStore } from './planted-bug.js';

/** The mark reached the disk, the rows before it did not. */
export function markAhead(restarted: RestartedStore): MemoryBackend {
  let newest: AppliedMark | undefined;
  const rows = restarted.crash((boundaries) => {
    newest = boundaries.at(-1);
    return 0;
  });
  if (newest !== undefined && newest.index > rows.applied.index) rows.setApplied(newest);
  return rows;
}

/** The rows reached the disk, the mark did not: entries are applied again. */
export function markBehind(restarted: RestartedStore): MemoryBackend {
  let oldest: AppliedMark | undefined;
  const rows = restarted.crash((boundaries) => {
    oldest = boundaries[0];
    return boundaries.length - 1;
  });
  const copy = restarted.empty();
  for (const table of ['head', 'lease', 'leaseKey', 'meta'] as const) {
    rows.scan(table, '', undefined, {}, (key, value) => copy.put(table, key, value));
  }
  rows.scanLog({ main: 0, sub: 0 }, undefined, (main, sub, row) => copy.appendLog(main, sub, row));
  if (oldest !== undefined) copy.setApplied(oldest);
  return copy;
}

/** The current revision is taken from the newest key that is there: a deletion at the end is forgotten. */
export function revisionOfSurvivors(rows: MemoryBackend): MemoryBackend {
  const state = loadState(rows);
  const head = new Head();
  let newest = Math.max(1, state.compactRevision);
  rows.scan('head', '', undefined, {}, (_key, row) => {
    decodeHead(row, head);
    if (!head.tombstone) newest = Math.max(newest, head.mod);
  });
  state.currentRevision = newest;
  saveState(rows, state);
  return rows;
}

/** How far history is compacted was kept in memory only. */
export function compactionForgotten(rows: MemoryBackend): MemoryBackend {
  const state = loadState(rows);
  state.compactRevision = -1;
  state.finishedRevision = -1;
  state.resumeMain = 0;
  state.resumeSub = 0;
  saveState(rows, state);
  return rows;
}
