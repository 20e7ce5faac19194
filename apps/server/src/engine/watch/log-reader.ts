import { decodeLogRow, LogRow } from '../mvcc/log-row.js';
import { type MvccStore } from '../mvcc/mvcc-store.js';
import { ChangeBytes } from './change-bytes.js';
import { type Delivery } from './delivery.js';
import { type WatcherIndex } from './watcher-index.js';

/**
 * Reads the log in slices and matches its rows with watchers. A slice may end within a revision, if that one alone is
 * longer than a slice; what it matched stays with the delivery until the revision is complete.
 *
 * Invariant: every row before (main, sub), from where `seek` began, was matched.
 */
export class LogReader {
  main = 0;
  private sub = 0;
  private readonly row = new LogRow();
  private readonly change = new ChangeBytes();

  constructor(private readonly delivery: Delivery) {}

  seek(main: number): void {
    this.main = main;
    this.sub = 0;
  }

  /** The last slice ended between two revisions. */
  get isAtBoundary(): boolean {
    return this.sub === 0;
  }

  /**
   * Matches rows up to revision `end`, which must not be above the current revision plus one.
   * @param rows It stops after about as many rows, and at the first revision after `bytes` of responses.
   * @returns The first revision that was not matched completely; `main`.
   */
  read(store: MvccStore, index: WatcherIndex, end: number, rows: number, bytes: number): number {
    const { delivery, row, change } = this;
    let visited = 0;
    let lastMain = this.main;
    let isCut = false;
    store.backend.scanLog({ main: this.main, sub: this.sub }, { main: end, sub: 0 }, (main, sub, stored) => {
      const isNewRevision = main !== lastMain;
      if (visited >= rows || (isNewRevision && delivery.pendingBytes >= bytes)) {
        isCut = true;
        this.main = main;
        this.sub = isNewRevision ? 0 : sub;
        return false;
      }
      visited++;
      lastMain = main;
      decodeLogRow(stored, main, sub, row);
      delivery.match(index, change.ofRow(row));
      return true;
    });
    if (!isCut) this.seek(Math.max(end, this.main));
    delivery.resolvePrevious(store);
    return this.main;
  }
}
