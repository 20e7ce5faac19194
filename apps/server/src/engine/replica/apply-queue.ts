import type { ApplyResult } from '../apply/apply-result.js';
import type { StateMachine } from '../apply/state-machine.js';
import type { Clock } from '../platform/clock.js';
import type { Entry } from '../raft/message.js';

/** Applying goes on for at most this long before the turn ends, so that sockets and timers get their share. */
const applySliceMs = 5;

/** Told of what is applied. */
export interface ApplyListener {
  /** The next entry is the first of a later term. */
  termBegins(term: number): void;
  applied(entry: Entry, result: ApplyResult): void;
}

/** Committed entries that wait to be applied, and are, in order, each once. */
export class ApplyQueue {
  private readonly entries: Entry[] = [];
  private from = 0;

  constructor(
    private readonly machine: StateMachine,
    private readonly clock: Clock,
    private readonly listener: ApplyListener,
    /** Term of the last applied entry. */
    private term: number,
  ) {}

  get size(): number {
    return this.entries.length - this.from;
  }

  add(entries: readonly Entry[]): void {
    for (const entry of entries) this.entries.push(entry);
  }

  /** Applies for a while; returns the index of the last entry that was applied, 0 when none was. */
  applySlice(): number {
    const until = this.clock.now() + applySliceMs;
    let applied = 0;
    let last = 0;
    while (this.from < this.entries.length) {
      const entry = this.entries[this.from];
      if (entry.term !== this.term) {
        this.term = entry.term;
        this.listener.termBegins(entry.term);
      }
      const result = this.machine.apply(entry);
      if (result === undefined) break;
      this.from++;
      last = entry.index;
      this.listener.applied(entry, result);
      if ((++applied & 31) === 0 && this.clock.now() >= until) break;
    }
    if (this.from === this.entries.length) this.clear();
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

  private clear(): void {
    this.entries.length = 0;
    this.from = 0;
  }
}
