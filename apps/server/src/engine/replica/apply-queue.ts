import type { ApplyResult } from '../apply/apply-result.js';
import type { StateMachine } from '../apply/state-machine.js';
import type { Clock } from '../platform/clock.js';
import { assert } from '../platform/assert.js';
import type { Entry } from '../raft/message.js';
import type { ApplyDurations } from './apply-durations.js';

/** Applying goes on for at most this long before the turn ends, so that sockets and timers get their share. */
const applySliceMs = 5;
/** A slice that took so long held something up, as etcd counts it. */
const slowMs = 100;

/** Told of what is applied. */
export interface ApplyListener {
  /** The next entry is the first of a later term. */
  termBegins(term: number): void;
  applied(entry: Entry, result: ApplyResult): void;
}

/** Committed entries that wait to be applied, and are, in order, each once. */
export class ApplyQueue {
  /** Entries gather and are not applied. */
  isPaused = false;
  /** Slices that took 100 ms or more: one command, or the store, is slow. */
  slowSlices = 0;
  private readonly entries: Entry[] = [];
  private from = 0;
  private bytes = 0;
  /** When the clock was read last: the next entry's time begins there. */
  private readAt = 0;
  /** What the entry at the front took in the slices that it has had. */
  private spentMs = 0;

  constructor(
    private readonly machine: StateMachine,
    private readonly clock: Clock,
    private readonly listener: ApplyListener,
    private readonly durations: ApplyDurations,
    /** Term of the last applied entry. */
    private term: number,
  ) {}

  get size(): number {
    return this.entries.length - this.from;
  }

  add(entries: readonly Entry[]): void {
    for (const entry of entries) this.entries.push(entry);
  }

  /** Whether the entry at `index` waits to be applied. */
  holds(index: number): boolean {
    const first = this.entries[this.from]?.index ?? Number.POSITIVE_INFINITY;
    return index >= first && index < first + this.size;
  }

  /** Bytes of the commands that were applied since the last call. */
  takeBytes(): number {
    const { bytes } = this;
    this.bytes = 0;
    return bytes;
  }

  /** Applies for a while; returns the index of the last entry that was applied, 0 when none was. */
  applySlice(): number {
    if (this.isPaused) return 0;
    const from = (this.readAt = this.clock.now());
    const until = from + applySliceMs;
    let last = 0;
    while (this.from < this.entries.length) {
      const entry = this.entries[this.from];
      if (!this.applyNext(entry)) break;
      last = entry.index;
      // Whoever is told of an entry may pause what follows.
      if (this.isPaused || this.readAt >= until) break;
    }
    if (this.from === this.entries.length) this.clear();
    if (last > 0 && this.readAt - from >= slowMs) this.slowSlices++;
    return last;
  }

  /**
   * A state at `index`, which waits here, is to take the place of what is applied: leaves out everything up to there,
   * except for changes of the members and what is before them, because the core must hear of each. Returns the index of
   * the last entry that was applied for that, 0 when none was.
   */
  skipTo(index: number): number {
    assert(this.holds(index), `entry ${index} waits to be applied`);
    let last = 0;
    let end = this.from + index - this.entries[this.from].index + 1;
    const isChange = (entry: Entry): boolean => entry.kind === 'config';
    const changes = this.entries.slice(this.from, end).findLastIndex(isChange) + 1;
    this.readAt = this.clock.now();
    for (const until = this.from + changes; this.from < until || this.machine.isRunning;) {
      const entry = this.entries[this.from];
      if (this.applyNext(entry)) last = entry.index;
    }
    end = Math.max(end, this.from);
    this.entries.splice(0, end);
    this.from = 0;
    return last;
  }

  /** Gives up what waits. What is half applied is finished before, so that the store is at the end of an entry. */
  abandon(): void {
    while (this.machine.isRunning) this.machine.apply(this.entries[this.from]);
    this.clear();
  }

  /** A state whose last entry has this term took the place of all before. */
  restartedIn(term: number): void {
    this.term = term;
  }

  /** Applies one entry, or a slice of it: false when there is more to do. */
  private applyNext(entry: Entry): boolean {
    if (entry.term !== this.term) {
      this.term = entry.term;
      this.listener.termBegins(entry.term);
    }
    const result = this.machine.apply(entry);
    if (result !== undefined) {
      this.from++;
      this.bytes += entry.data.length;
      this.listener.applied(entry, result);
    }
    const now = this.clock.now();
    this.spentMs += now - this.readAt;
    this.readAt = now;
    if (result === undefined) return false;
    this.durations.observe(entry, result, this.spentMs);
    this.spentMs = 0;
    return true;
  }

  private clear(): void {
    this.entries.length = 0;
    this.from = 0;
    this.spentMs = 0;
  }
}
