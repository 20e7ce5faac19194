import {
  decodeConfChange,
  type SingleChange,
} from '../../../apps/server/src/engine/raft/confchange/conf-change.js';
import { Violation } from '../world/violation.js';

/**
 * Who the members are, as the committed log has it so far. While a joint configuration holds, `voters` and `learners` are those
 * that are to be; who goes with its end is `leaving` until then, and who had a vote before has it still.
 */
export class Configuration {
  readonly voters: Set<bigint>;
  readonly learners = new Set<bigint>();
  /** Members that were removed, with the index of the entry that did it. */
  readonly removed = new Map<bigint, number>();
  /** Told of every member that is added, when somebody is the first to know. */
  onAdded: ((member: bigint) => void) | undefined;

  onPromoted: ((member: bigint) => void) | undefined;
  /** Told when a joint configuration begins, of those that go with its end. */
  onJoint: ((leaving: ReadonlySet<bigint>) => void) | undefined;
  private outgoing: ReadonlySet<bigint> | undefined;
  private readonly leaving = new Set<bigint>();

  constructor(founders: readonly bigint[]) {
    this.voters = new Set(founders);
  }

  /** Decisions need a majority of those before and of those to be. */
  get isJoint(): boolean {
    return this.outgoing !== undefined;
  }

  has(member: bigint): boolean {
    return this.voters.has(member) || this.learners.has(member) || this.leaving.has(member);
  }

  /** It has a vote in one half at least. */
  mayLead(member: bigint): boolean {
    return this.voters.has(member) || this.outgoing?.has(member) === true;
  }

  /** A change took effect. @throws Violation when two quorums, of before and after, might have no member in common (R9). */
  apply(data: Uint8Array, index: number): void {
    const { changes, transition } = decodeConfChange(data);
    if (changes.length === 0) return this.leaveJoint(index);
    if (this.isJoint) throw new Violation('R9', 'the members change while a joint configuration holds');
    const isJoint = transition !== 'auto';
    if (changes.length > 1 && !isJoint) throw new Violation('R9', `${changes.length} members change at once`);
    if (isJoint) this.outgoing = new Set(this.voters);
    for (const change of changes) this.change(change, index);
    if (isJoint) this.onJoint?.(this.leaving);
  }

  private leaveJoint(index: number): void {
    if (!this.isJoint) throw new Violation('R9', 'a joint configuration ends that had not begun');
    this.outgoing = undefined;
    for (const member of this.leaving) this.removed.set(member, index);
    this.leaving.clear();
  }

  private change({ type, member }: SingleChange, index: number): void {
    const isNew = !this.has(member);
    if (type === 'add-voter' && this.learners.has(member)) this.onPromoted?.(member);
    if (this.removed.has(member) || this.leaving.has(member))
      throw new Violation('R13', `removed member ${member} comes back`);
    this.voters.delete(member);
    this.learners.delete(member);
    if (type === 'add-voter') this.voters.add(member);
    if (type === 'add-learner') this.learners.add(member);
    if (type !== 'remove') return isNew ? this.onAdded?.(member) : undefined;
    if (this.isJoint) this.leaving.add(member);
    else this.removed.set(member, index);
  }
}
