import { assert } from '../platform/assert.js';

const CAPACITY_MIN = 4096;

/**
 * The log rows of one generation, in typed arrays, and the older rows that it deletes.
 *
 * Positions are given in strictly ascending order over the life of the store, so all rows of a generation follow all
 * rows below it: a position is either in the arrays or below them, never both.
 *
 * Invariants: (mains[i], subs[i]) ascends strictly for i < rows; addresses[i] is 0 when the row was deleted again.
 */
export class GenerationLog {
  private mains = new Float64Array(CAPACITY_MIN);
  private subs = new Uint32Array(CAPACITY_MIN);
  private addresses = new Uint32Array(CAPACITY_MIN);
  private count = 0;
  /** Deleted rows below this generation: main revision to one sub revision, or to a set of several. */
  private readonly deleted = new Map<number, number | Set<number>>();

  get rows(): number {
    return this.count;
  }

  get hasDeletes(): boolean {
    return this.deleted.size > 0;
  }

  append(main: number, sub: number, address: number): void {
    if (this.count === this.mains.length) this.grow();
    const at = this.count++;
    this.mains[at] = main;
    this.subs[at] = sub;
    this.addresses[at] = address;
  }

  delete(main: number, sub: number): void {
    const at = this.find(main, sub);
    if (at < this.count && this.mains[at] === main && this.subs[at] === sub) {
      this.addresses[at] = 0;
      return;
    }
    const known = this.deleted.get(main);
    if (known === undefined) this.deleted.set(main, sub);
    else if (typeof known !== 'number') known.add(sub);
    else if (known !== sub) this.deleted.set(main, new Set([known, sub]));
  }

  /** Whether this generation deletes a row that lies below it. */
  deletesBelow(main: number, sub: number): boolean {
    const known = this.deleted.get(main);
    return known !== undefined && (typeof known === 'number' ? known === sub : known.has(sub));
  }

  /** Address of the row, 0 when it was deleted, -1 when it is not of this generation. */
  addressOf(main: number, sub: number): number {
    const at = this.find(main, sub);
    if (at === this.count || this.mains[at] !== main || this.subs[at] !== sub) return -1;
    return this.addresses[at];
  }

  /** Index of the first row that is not before the position. */
  find(main: number, sub: number): number {
    if (this.count === 0) return 0;
    const { mains, subs } = this;
    // With one change per revision, the usual case, the guess is right.
    const guess = main - mains[0];
    if (guess >= 0 && guess < this.count && mains[guess] === main && subs[guess] === sub) return guess;
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (mains[middle] < main || (mains[middle] === main && subs[middle] < sub)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  mainAt(at: number): number {
    assert(at < this.count, 'a log row of a generation lies within it');
    return this.mains[at];
  }

  subAt(at: number): number {
    return this.subs[at];
  }

  addressAt(at: number): number {
    return this.addresses[at];
  }

  private grow(): void {
    const capacity = this.mains.length * 2;
    const mains = new Float64Array(capacity);
    const subs = new Uint32Array(capacity);
    const addresses = new Uint32Array(capacity);
    mains.set(this.mains);
    subs.set(this.subs);
    addresses.set(this.addresses);
    this.mains = mains;
    this.subs = subs;
    this.addresses = addresses;
  }
}
