import { type ApplyResult } from '../../../apps/server/src/engine/apply/apply-result.js';
import { type Entry } from '../../../apps/server/src/engine/raft/message.js';
import { Violation } from '../world/violation.js';
import { type CommittedLog, foundingIndex } from './committed-log.js';

/** The committed log as one member applies it: in order, each entry once, again only after a restart. */
export class MemberLog {
  /** The index that the running process must apply next. */
  private next = foundingIndex + 1;

  /** Indexes of states that the running process got and may have taken for its own. */
  private readonly states = new Set<number>();

  /** @param storeApplied The last entry in the member's store. */
  constructor(
    private readonly log: CommittedLog,
    private readonly storeApplied: () => number,
  ) {}

  /** The last entry that the running process has applied, or got with a state. */
  get applied(): number {
    return Math.max(this.next - 1, Math.min(this.storeApplied(), this.log.last));
  }

  /** A state at `index` arrived: the member may go on behind it. */
  received(index: number): void {
    this.states.add(index);
  }

  /** A process starts from a store that has applied `index`. */
  restarted(index: number): void {
    const { last } = this.log;
    if (index > last) {
      throw new Violation('K2', `the store says that entry ${index} is applied; the log ends at ${last}`);
    }
    this.next = Math.max(index, foundingIndex) + 1;
    this.states.clear();
  }

  /** The member applied an entry. */
  appliedEntry(entry: Entry, result: ApplyResult): void {
    const { index } = entry;
    const isBehindState = index > this.next && this.states.has(index - 1);
    if (index !== this.next && !isBehindState)
      throw new Violation('R5', `entry ${index} was applied, ${this.next} was due`);
    this.next = index + 1;
    this.log.applied(entry, result);
  }

  /** All that was ever applied anywhere is applied here. */
  checkComplete(): void {
    const { last } = this.log;
    if (this.next > last) return;
    throw new Violation('K2', `entries ${this.next} to ${last} were applied before and are gone`);
  }
}
