import { type Entry, type HardState } from '../raft/message.js';
import { type SegmentHead } from './payload.js';
import { emptyHardState, emptyMark, type LogMark, type RecoveredLog } from './state.js';

/**
 * The state that results from the records of a log, applied in order.
 *
 * Invariant: `entries` are consecutive from `first`. An append replaces everything from its first index on. A mark drops what it
 * covers; when it does not agree with the log (another term at its index, or beyond the end), a snapshot replaced the
 * whole log, and everything is dropped. Until a mark at or above `first - 1` was seen, the log before `first` is
 * unknown: it was in segments that are gone.
 */
export class Replay {
  private hardState: HardState = emptyHardState;
  private mark: LogMark = emptyMark;
  private first = 1;
  private entries: Entry[] = [];

  /** Index of the last entry, or of what precedes the first. */
  get lastIndex(): number {
    return this.first + this.entries.length - 1;
  }

  applyHead(head: SegmentHead, isFirstSegment: boolean): void {
    if (isFirstSegment) this.first = head.firstIndex;
    this.hardState = head.hardState;
    this.applyMark(head.mark);
  }

  applyHardState(state: HardState): void {
    this.hardState = state;
  }

  /** False when there is a gap before these entries, or when they would replace what a mark covers. */
  applyEntries(entries: readonly Entry[]): boolean {
    const index = entries[0]!.index;
    if (index > this.lastIndex + 1 || index <= this.mark.index) return false;
    if (index < this.first) {
      this.first = index;
      this.entries = [];
    } else {
      this.entries.length = index - this.first;
    }
    for (const entry of entries) this.entries.push(entry);
    return true;
  }

  applyMark(mark: LogMark): void {
    if (mark.index < this.mark.index) return;
    this.mark = mark;
    if (mark.index < this.first) return;
    const covered = this.entries[mark.index - this.first];
    this.entries = covered?.term === mark.term ? this.entries.slice(mark.index - this.first + 1) : [];
    this.first = mark.index + 1;
  }

  /** Whether the entries continue from the mark without a gap. */
  get isConnected(): boolean {
    return this.first <= this.mark.index + 1;
  }

  get firstIndex(): number {
    return this.first;
  }

  /**
   * The final state. The commit index is brought into the range that the log holds: a torn tail may have dropped entries
   * that it counted, but those were never acknowledged.
   *
   * Entries are views into the segments that were read, `readBytes` in all; when few of those bytes are left in use, the entries get
   * bytes of their own, so that they do not keep all the rest in memory.
   */
  finish(readBytes: number): Pick<RecoveredLog, 'hardState' | 'mark' | 'entries'> {
    const { term, vote, commit } = this.hardState;
    const lastIndex = Math.max(this.lastIndex, this.mark.index);
    const clamped = Math.min(Math.max(commit, this.mark.index), lastIndex);
    let usedBytes = 0;
    for (const { data } of this.entries) usedBytes += data.length;
    const entries = usedBytes * 2 < readBytes ? ownBytes(this.entries) : this.entries;
    return { hardState: { term, vote, commit: clamped }, mark: this.mark, entries };
  }
}

const slabBytes = 256 * 1024;

/** Copies the data of entries into slabs: a buffer for each entry would cost more than the entry. */
function ownBytes(entries: readonly Entry[]): Entry[] {
  let slab = new Uint8Array(0);
  let used = 0;
  return entries.map(({ index, term, kind, data }) => {
    if (used + data.length > slab.length) {
      slab = new Uint8Array(Math.max(slabBytes, data.length));
      used = 0;
    }
    const own = slab.subarray(used, used + data.length);
    own.set(data);
    used += data.length;
    return { index, term, kind, data: own };
  });
}
