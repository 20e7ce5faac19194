import { assert } from '../platform/assert.js';

/**
 * How the versions of one key are linked, so that an old one is found in O(log n) steps and a put reads none of them.
 *
 * The versions form the random-access list of Myers ("An applicative random-access stack", 1983): a stack of complete
 * binary trees whose sizes are 2^(rank+1) - 1. A new version
 *
 *   - becomes the root over the two newest trees when these have equal rank, which makes a tree one rank higher;
 *   - otherwise is a tree of its own, of rank 0.
 *
 * Every version knows two older ones: `prev`, the version just before it, and `jump`, the root behind its own tree.
 * Only the roots are kept in the key's head row, so adding a version needs nothing else. Eleven versions, made at
 * revisions 2 to 12:
 *
 *     put at   roots in the head row, newest first (revision^rank)   prev   jump
 *       2      2^0                                                    -      -
 *       3      3^0 2^0                                                2      -  (rank 0: jump is prev)
 *       4      4^1                                                    3      -
 *       5      5^0 4^1                                                4      -
 *       6      6^0 5^0 4^1                                            5      -
 *       7      7^1 4^1                                                6      4
 *       8      8^2                                                    7      -
 *       9      9^0 8^2                                                8      -
 *      10      10^0 9^0 8^2                                           9      -
 *      11      11^1 8^2                                              10      8
 *      12      12^0 11^1 8^2                                         11      -
 *
 * To find the version at revision 3, start at the last root that is newer than it: 8. Its jump is absent, so go to its
 * prev: 7. 7 jumps to 4, which is still newer, so take the jump; the prev of 4 is 3: found, with rows 8, 7, 4 and 3 read.
 *
 * A compaction to C removes all versions up to C but the newest of them, and with them what pointers lead to. A pointer
 * is therefore followed only when its target is newer than the revision looked for (which is at least C), or when it is
 * a prev: the prev of the oldest version newer than the revision is exactly the version looked for. Roots at or below C
 * are dropped from the head row except the newest, so the row does not grow with what is gone.
 *
 * Invariants: mains (with their subs) strictly descend; ranks ascend, and only the first two may be equal.
 */
export class VersionRoots {
  readonly mains: number[] = [];
  readonly subs: number[] = [];
  readonly ranks: number[] = [];
  length = 0;

  clear(): void {
    this.length = 0;
  }

  /** Adds a root below the ones there are; used to read a stored stack. */
  addOlder(main: number, sub: number, rank: number): void {
    const at = this.length++;
    this.mains[at] = main;
    this.subs[at] = sub;
    this.ranks[at] = rank;
  }

  /** Adds the newest version. Afterwards the second root, if any, is what it jumps to. */
  push(main: number, sub: number, compactRevision: number): void {
    assert(
      this.length === 0 || main > this.mains[0] || (main === this.mains[0] && sub > this.subs[0]),
      'a new version follows the one before',
    );
    const joins = this.length >= 2 && this.ranks[0] === this.ranks[1];
    const rank = joins ? this.ranks[0] + 1 : 0;
    if (joins) this.shiftLeft();
    else this.shiftRight();
    this.mains[0] = main;
    this.subs[0] = sub;
    this.ranks[0] = rank;
    this.dropCompacted(compactRevision);
  }

  /**
   * Position of the last root newer than `revision`: where the search begins. -1 when even the newest version is not
   * newer, and when no version up to `revision` was ever there.
   */
  searchStart(revision: number): number {
    let last = -1;
    while (last + 1 < this.length && this.mains[last + 1] > revision) last++;
    if (last === this.length - 1 && last >= 0 && this.ranks[last] === 0) return -1;
    return last;
  }

  /** Two roots become one place: the new root takes the second's. */
  private shiftLeft(): void {
    for (let at = 2; at < this.length; at++) {
      this.mains[at - 1] = this.mains[at];
      this.subs[at - 1] = this.subs[at];
      this.ranks[at - 1] = this.ranks[at];
    }
    this.length--;
  }

  private shiftRight(): void {
    for (let at = this.length; at > 0; at--) {
      this.mains[at] = this.mains[at - 1];
      this.subs[at] = this.subs[at - 1];
      this.ranks[at] = this.ranks[at - 1];
    }
    this.length++;
  }

  private dropCompacted(compactRevision: number): void {
    for (let at = 0; at < this.length; at++) {
      if (this.mains[at] <= compactRevision) {
        this.length = at + 1;
        return;
      }
    }
  }
}
