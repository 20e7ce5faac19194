import type { MemberId } from '../raft/message.js';

/** Numbers that one generation of a window remembers one by one. */
const generationSize = 65_536;

/**
 * The numbers that one process of a member has used, remembered exactly for the newest and as "all used" below them.
 *
 * Invariants: `take` is true at most once per number; a number at or below `floor` counts as used, whether it was or not.
 */
class UsedNumbers {
  private newer = new Set<number>();
  private older = new Set<number>();
  private floor = 0;

  take(number: number): boolean {
    if (number <= this.floor || this.newer.has(number) || this.older.has(number)) return false;
    this.newer.add(number);
    if (this.newer.size >= generationSize) this.age();
    return true;
  }

  private age(): void {
    for (const number of this.older) this.floor = Math.max(this.floor, number);
    this.older = this.newer;
    this.newer = new Set();
  }
}

/**
 * What a leader was handed by other members in its term, so that a message that arrives twice is taken once. It is kept
 * for one term only: who sends names the term that it means, and a leader takes nothing that was meant for another.
 */
export class ForwardWindow {
  private readonly byMember = new Map<MemberId, Map<bigint, UsedNumbers>>();

  /** True when (member, boot, number) comes for the first time. */
  take(member: MemberId, boot: bigint, number: number): boolean {
    let byBoot = this.byMember.get(member);
    if (byBoot === undefined) this.byMember.set(member, (byBoot = new Map<bigint, UsedNumbers>()));
    let used = byBoot.get(boot);
    if (used === undefined) byBoot.set(boot, (used = new UsedNumbers()));
    return used.take(number);
  }

  /** A term began or ended. */
  clear(): void {
    this.byMember.clear();
  }
}
