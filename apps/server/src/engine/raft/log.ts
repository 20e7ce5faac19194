import { assert } from '../platform/assert.js';
import { type Entry, entryBytes } from './message.js';

/** The slot of a dropped entry, so that its data can be collected before the array itself is shifted. */
const DROPPED: Entry = { index: 0, term: 0, kind: 'normal', data: new Uint8Array(0) };

/** Appended to nothing: shared by all that ask for an empty range. */
const NO_ENTRIES: readonly Entry[] = [];

/**
 * The log of one member as it is in memory: entries from `firstIndex` to `lastIndex` without a gap, above a base whose
 * entry is known by index and term only.
 *
 *        base = snapshotIndex      applied          commit           lastIndex
 *   ──────────┤▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒├────────────────┤────────────────┤
 *    forgotten  kept for others   handed to apply    may be replaced
 *
 * Invariants: baseIndex <= applied <= handedToApply <= commit <= lastIndex (between `restartAt` and `restarted`, while
 * a received state takes the place of the log, applied and handedToApply lie below the base); indexes increase by one;
 * terms never decrease; commit and applied never decrease; an entry at or below commit is never replaced.
 */
export class RaftLog {
  #entries: Entry[];
  /** Dropped slots at the start of `#entries`; the array is shifted when they are half of it. */
  #head = 0;
  #baseIndex: number;
  #baseTerm: number;
  #lastIndex: number;
  #lastTerm: number;
  #commit: number;
  #applied: number;
  #handedToApply: number;
  /** The membership changes above applied on which the state machine has not decided, ascending. */
  readonly #configs: number[] = [];

  constructor(
    baseIndex: number,
    baseTerm: number,
    entries: readonly Entry[],
    commit: number,
    applied: number,
  ) {
    this.#baseIndex = baseIndex;
    this.#baseTerm = baseTerm;
    this.#entries = [];
    this.#lastIndex = baseIndex;
    this.#lastTerm = baseTerm;
    this.#commit = commit;
    this.#applied = applied;
    this.#handedToApply = applied;
    for (const entry of entries) this.append(entry);
    assert((baseIndex === 0) === (baseTerm === 0), 'the base is an entry, or the place before the first');
    assert(applied >= baseIndex, 'what the log has forgotten is applied');
    assert(commit >= applied, 'only committed entries are applied');
    assert(commit <= this.#lastIndex, 'every committed entry is in the log: it was lost or cut');
    // A membership change is proposed only when the one before is applied: a log with two knows that the first is
    // committed, even if a crash kept the second without the commit index that came with it.
    this.#commit = Math.max(commit, this.#configs.at(-2) ?? 0);
  }

  get firstIndex(): number {
    return this.#baseIndex + 1;
  }
  get lastIndex(): number {
    return this.#lastIndex;
  }
  get lastTerm(): number {
    return this.#lastTerm;
  }
  get commit(): number {
    return this.#commit;
  }
  get applied(): number {
    return this.#applied;
  }

  /** Whether a membership change stands in the log that the state machine has not decided on. */
  get hasConfig(): boolean {
    return this.#configs.length > 0;
  }

  /** Whether such a change is committed. */
  get hasCommittedConfig(): boolean {
    return this.#configs.length > 0 && this.#configs[0]! <= this.#commit;
  }

  /** The term of the entry at `index`, from the base up to `lastIndex`. */
  termAt(index: number): number {
    if (index === this.#lastIndex) return this.#lastTerm;
    if (index === this.#baseIndex) return this.#baseTerm;
    return this.#at(index).term;
  }

  /** Whether `termAt` can answer: at the base and above, up to the end. */
  knows(index: number): boolean {
    return index >= this.#baseIndex && index <= this.#lastIndex;
  }

  matches(index: number, term: number): boolean {
    return this.knows(index) && this.termAt(index) === term;
  }

  /** Raft 5.4.1: a vote goes to a log that ends in a later term, or in the same term and not earlier. */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    return lastTerm > this.#lastTerm || (lastTerm === this.#lastTerm && lastIndex >= this.#lastIndex);
  }

  append(entry: Entry): void {
    assert(entry.index === this.#lastIndex + 1, 'the log has no gap');
    assert(entry.term >= this.#lastTerm, 'terms never decrease along the log');
    this.#entries.push(entry);
    this.#lastIndex = entry.index;
    this.#lastTerm = entry.term;
    if (entry.kind === 'config' && entry.index > this.#applied) this.#configs.push(entry.index);
  }

  /**
   * Takes what a leader sent after (`previousIndex`, its term), which this log matches. Entries held already are
   * skipped; from the first conflict on the log is replaced. Returns the first index whose former entry was dropped, or
   * 0 when none was.
   */
  appendFromLeader(entries: readonly Entry[]): number {
    let at = 0;
    while (at < entries.length && this.#holds(entries[at]!)) at += 1;
    if (at === entries.length) return 0;
    const conflict = entries[at]!.index;
    const isReplacing = conflict <= this.#lastIndex;
    if (isReplacing) this.#truncateFrom(conflict);
    for (; at < entries.length; at += 1) this.append(entries[at]!);
    return isReplacing ? conflict : 0;
  }

  /**
   * The last index at or below `index` whose term is at most `term`: where another log, whose entry at `index` has that
   * term, can still agree with this one. Below the base the answer is the base's index: nothing more is known.
   */
  lastIndexAtMost(index: number, term: number): number {
    let low = this.#baseIndex;
    let high = Math.min(index, this.#lastIndex);
    if (high <= low) return high;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.termAt(middle) <= term) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Entries in [from, to], which are all in memory. */
  slice(from: number, to: number): readonly Entry[] {
    if (from > to) return NO_ENTRIES;
    assert(from >= this.firstIndex, 'a slice begins in memory');
    assert(to <= this.#lastIndex, 'a slice ends in the log');
    const offset = this.#head - this.#baseIndex - 1;
    return this.#entries.slice(from + offset, to + offset + 1);
  }

  /** Entries from `from` on that total at most `maxBytes`, and always the first of them when there is one. */
  sliceBytes(from: number, maxBytes: number): readonly Entry[] {
    let bytes = 0;
    let to = from - 1;
    while (to < this.#lastIndex) {
      bytes += entryBytes(this.#at(to + 1));
      if (bytes > maxBytes && to >= from) break;
      to += 1;
    }
    return this.slice(from, to);
  }

  /** Bytes of data, without overhead, of the entries in [from, to]. */
  dataBytes(from: number, to: number): number {
    let bytes = 0;
    for (let index = from; index <= to; index += 1) bytes += this.#at(index).data.byteLength;
    return bytes;
  }

  /**
   * Whether an index that a quorum holds may be committed for that reason alone: only an entry of the leader's own term,
   * because an older one can still be overwritten though a quorum holds it (Raft 5.4.2, figure 8).
   */
  isCommittable(index: number, term: number): boolean {
    return index > this.#commit && this.termAt(index) === term;
  }

  commitTo(index: number): void {
    if (index <= this.#commit) return;
    assert(index <= this.#lastIndex, 'every committed entry is in the log: it was lost or cut');
    this.#commit = index;
  }

  /** Committed entries up to `limit` that were not handed out before; they now are. */
  takeCommitted(limit: number): readonly Entry[] {
    const to = Math.min(this.#commit, limit);
    if (to <= this.#handedToApply) return NO_ENTRIES;
    const entries = this.slice(this.#handedToApply + 1, to);
    this.#handedToApply = to;
    return entries;
  }

  hasCommitted(limit: number): boolean {
    return Math.min(this.#commit, limit) > this.#handedToApply;
  }

  appliedTo(index: number): void {
    assert(index >= this.#applied, 'applied never decreases');
    assert(index <= this.#handedToApply, 'only what was handed out is applied');
    if (this.#configs.length > 0) {
      assert(this.#configs[0]! > index, 'a membership change is decided on before it counts as applied');
    }
    this.#applied = index;
  }

  /** The state machine has decided on the oldest membership change that was handed to it. */
  configDecided(): void {
    const index = this.#configs[0];
    const isHandedOut = index !== undefined && index <= this.#handedToApply;
    assert(isHandedOut, 'a membership change was handed out and not decided on');
    this.#configs.shift();
  }

  /** A state up to `index` is about to take the place of the whole log; `restarted` follows when it has. */
  restartAt(index: number, term: number): void {
    assert(index > this.#commit, 'a state never takes back what is committed');
    this.#entries = [];
    this.#head = 0;
    this.#baseIndex = this.#lastIndex = this.#commit = index;
    this.#baseTerm = this.#lastTerm = term;
    this.#dropConfigsFrom(this.#handedToApply + 1);
  }

  /** The state machine is the state that `restartAt` announced. */
  restarted(): void {
    assert(this.#lastIndex === this.#baseIndex, 'nothing is appended while a state is installed');
    this.#applied = this.#handedToApply = this.#baseIndex;
    this.#configs.length = 0;
  }

  /**
   * Forgets entries up to `index`, except unapplied ones and those kept for members that lag: the last
   * `retainedEntries` applied ones while they total at most `maxRetainedBytes`. Amortised O(1) per entry.
   */
  compact(index: number, retainedEntries: number, maxRetainedBytes: number): void {
    const target = Math.min(index, this.#applied);
    if (target <= this.#baseIndex) return;
    let newBase = this.#applied;
    let bytes = 0;
    while (newBase > this.#baseIndex && this.#applied - newBase < retainedEntries) {
      bytes += entryBytes(this.#at(newBase));
      if (bytes > maxRetainedBytes) break;
      newBase -= 1;
    }
    this.#forgetUpTo(Math.min(target, newBase));
  }

  /** Whether the log holds exactly this entry; what lies below the base is committed, so a leader holds the same. */
  #holds(entry: Entry): boolean {
    return entry.index < this.#baseIndex || this.matches(entry.index, entry.term);
  }

  #at(index: number): Entry {
    assert(index > this.#baseIndex, 'the entry was not forgotten');
    assert(index <= this.#lastIndex, 'the entry exists');
    return this.#entries[this.#head + index - this.#baseIndex - 1]!;
  }

  #truncateFrom(index: number): void {
    assert(index > this.#commit, 'a committed entry is never replaced');
    this.#entries.length = this.#head + index - this.#baseIndex - 1;
    this.#lastIndex = index - 1;
    const last = this.#entries[this.#entries.length - 1];
    this.#lastTerm = index - 1 === this.#baseIndex ? this.#baseTerm : last!.term;
    this.#dropConfigsFrom(index);
  }

  #dropConfigsFrom(index: number): void {
    while (this.#configs.length > 0 && this.#configs[this.#configs.length - 1]! >= index) this.#configs.pop();
  }

  #forgetUpTo(index: number): void {
    const dropped = index - this.#baseIndex;
    if (dropped <= 0) return;
    const term = this.termAt(index);
    this.#entries.fill(DROPPED, this.#head, this.#head + dropped);
    this.#head += dropped;
    this.#baseIndex = index;
    this.#baseTerm = term;
    if (this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }
}
