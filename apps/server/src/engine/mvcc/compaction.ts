import { type Backend, type ByteString } from '../backend/backend.js';
import { assert } from '../platform/assert.js';
import { decodeHead, Head } from './head-row.js';
import { keyOfKeyValue } from './key-value.js';
import { decodeLogRow, LogRow } from './log-row.js';
import { saveState, type StoreState } from './state-row.js';

/** A tombstone that goes, and the key it belongs to. */
interface DeadTombstone {
  readonly main: number;
  readonly sub: number;
  readonly key: ByteString;
}

/**
 * Removes what a compaction to C makes unreachable: every version that another one up to C replaced, and every
 * tombstone below C. What happened exactly at C stays until the next compaction, tombstones too, so that a watch from C
 * sees all of it (etcd #18089, #19179).
 *
 * It reads the log from the last compaction on, and never the index: a row up to C has replaced its `prev`, so `prev`
 * goes; a tombstone below C goes itself, and its head row with it unless the key was written again. The last
 * compaction's own revision is read once more, because what was kept there is now below C.
 *
 *     put a (2)   delete a (3)   put b (4)   put b (5)
 *     compact 3:  row 3 replaced row 2, which goes; tombstone 3 is exactly at 3 and stays
 *     compact 4:  tombstone 3 goes, and the head row of a; row 4 replaced nothing
 *
 * Where it stands is part of the store's state, in the same applied boundary as its deletions, so after a crash it
 * goes on where it was. Every deletion may be done twice, and does not depend on where slices begin; a later compact
 * revision may be set in the middle.
 */
export class Compaction {
  /** Rows of the log that were removed since the start of the process. */
  removedRows = 0;
  private readonly row = new LogRow();
  private readonly head = new Head();
  /** Main and sub revisions of rows that were replaced, in turn. */
  private readonly replaced: number[] = [];
  private readonly tombstones: DeadTombstone[] = [];

  constructor(
    private readonly backend: Backend,
    private readonly state: StoreState,
  ) {}

  get pending(): boolean {
    return this.state.finishedRevision < this.state.compactRevision;
  }

  /**
   * Looks at `rows` rows at most.
   * @returns true while there is more to do. @throws CorruptionError
   */
  slice(rows: number): boolean {
    assert(rows > 0, 'a slice has at least one row');
    if (!this.pending) return false;
    const isLast = this.collect(rows);
    const { replaced, tombstones, backend, state } = this;
    this.removedRows += replaced.length / 2 + tombstones.length;
    for (let at = 0; at < replaced.length; at += 2) backend.deleteLog(replaced[at], replaced[at + 1]);
    for (const tombstone of tombstones) this.bury(tombstone);
    if (isLast) {
      state.finishedRevision = state.compactRevision;
      state.resumeMain = state.compactRevision;
      state.resumeSub = 0;
    }
    saveState(backend, state);
    return !isLast;
  }

  /** Reads the next rows and notes what goes. @returns true when the end was reached. */
  private collect(rows: number): boolean {
    const { row, replaced, tombstones, state } = this;
    const target = state.compactRevision;
    replaced.length = 0;
    tombstones.length = 0;
    let visited = 0;
    const from = { main: state.resumeMain, sub: state.resumeSub };
    this.backend.scanLog(from, { main: target + 1, sub: 0 }, (main, sub, bytes) => {
      if (visited === rows) {
        state.resumeMain = main;
        state.resumeSub = sub;
        visited++;
        return false;
      }
      visited++;
      decodeLogRow(bytes, main, sub, row);
      if (row.prevMain > 0 && row.prevMain < target) replaced.push(row.prevMain, row.prevSub);
      if (row.tombstone && main < target) {
        tombstones.push({ main, sub, key: keyOfKeyValue(bytes, row.keyValueStart, row.keyValueEnd) });
      }
      return true;
    });
    return visited <= rows;
  }

  private bury({ main, sub, key }: DeadTombstone): void {
    const { backend, head, state } = this;
    backend.deleteLog(main, sub);
    const stored = backend.get('head', key);
    if (stored === undefined) return;
    decodeHead(stored, head);
    if (head.mod !== main || head.sub !== sub) return;
    backend.delete('head', key);
    state.tombstoneHeads--;
  }
}
