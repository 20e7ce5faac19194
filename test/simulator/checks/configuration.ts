import {
  decodeConfChange,
  type SingleChange,
} from '../../../apps/server/src/engine/raft/confchange/conf-change.js';
import { Violation } from '../world/violation.js';

/** Who the members are, as the committed log has it so far. */
export class Configuration {
  readonly voters: Set<bigint>;
  readonly learners = new Set<bigint>();
  /** Members that were removed, with the index of the entry that did it. */
  readonly removed = new Map<bigint, number>();
  /** Told of every member that is added, when somebody is the first to know. */
  onAdded: ((member: bigint) => void) | undefined;

  onPromoted: ((member: bigint) => void) | undefined;

  constructor(founders: readonly bigint[]) {
    this.voters = new Set(founders);
  }

  has(member: bigint): boolean {
    return this.voters.has(member) || this.learners.has(member);
  }

  /** A change took effect. @throws Violation when two quorums, of before and after, might have no member in common (R9). */
  apply(data: Uint8Array, index: number): void {
    const { changes } = decodeConfChange(data);
    if (changes.length > 1) throw new Violation('R9', `${changes.length} members change at once`);
    for (const change of changes) this.change(change, index);
  }

  private change({ type, member }: SingleChange, index: number): void {
    const isNew = !this.has(member);
    if (type === 'add-voter' && this.learners.has(member)) this.onPromoted?.(member);
    if (this.removed.has(member)) throw new Violation('R13', `removed member ${member} comes back`);
    this.voters.delete(member);
    this.learners.delete(member);
    if (type === 'add-voter') this.voters.add(member);
    if (type === 'add-learner') this.learners.add(member);
    if (type === 'remove') this.removed.set(member, index);
    else if (isNew) this.onAdded?.(member);
  }
}
