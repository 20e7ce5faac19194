import { assert } from '../platform/assert.js';
import { type ByteString } from './backend.js';

/** A leaf is split in two halves when it grows beyond this; it leaves the list when it is empty. */
const LEAF_ROWS_MAX = 256;

interface Leaf<V> {
  readonly keys: ByteString[];
  readonly values: V[];
}

/**
 * An ordered map of byte strings: a list of sorted leaves, found by bisection of their first keys.
 *
 * Two levels suffice: a million keys are about 6,000 leaves, and inserting one leaf into such a list is a short
 * memory move that happens once in a hundred insertions. An insertion costs two bisections and the move of at most
 * 256 references.
 *
 * Invariants: no leaf is empty; keys ascend strictly within a leaf and across leaves; `firsts[i]` is the first key
 * of `leaves[i]`; `size` is the sum of the lengths of the leaves.
 */
export class SortedMap<V> {
  private readonly leaves: Leaf<V>[] = [];
  private readonly firsts: ByteString[] = [];
  private rows = 0;

  get size(): number {
    return this.rows;
  }

  get(key: ByteString): V | undefined {
    const at = this.leafOf(key);
    if (at < 0) return undefined;
    const { keys, values } = this.leaves[at];
    const position = lowerBound(keys, key);
    return position < keys.length && keys[position] === key ? values[position] : undefined;
  }

  /** Sets the value of `key` and returns the value it had. */
  set(key: ByteString, value: V): V | undefined {
    const at = Math.max(0, this.leafOf(key));
    if (this.leaves.length === 0) {
      this.leaves.push({ keys: [key], values: [value] });
      this.firsts.push(key);
      this.rows = 1;
      return undefined;
    }
    const { keys, values } = this.leaves[at];
    const position = lowerBound(keys, key);
    if (position < keys.length && keys[position] === key) {
      const before = values[position];
      values[position] = value;
      return before;
    }
    if (position === keys.length) {
      keys.push(key);
      values.push(value);
    } else {
      keys.splice(position, 0, key);
      values.splice(position, 0, value);
    }
    if (position === 0) this.firsts[at] = key;
    this.rows++;
    if (keys.length > LEAF_ROWS_MAX) this.split(at, position === keys.length - 1);
    return undefined;
  }

  /** Removes `key` and returns the value it had. */
  delete(key: ByteString): V | undefined {
    const at = this.leafOf(key);
    if (at < 0) return undefined;
    const { keys, values } = this.leaves[at];
    const position = lowerBound(keys, key);
    if (position === keys.length || keys[position] !== key) return undefined;
    const before = values[position];
    keys.splice(position, 1);
    values.splice(position, 1);
    this.rows--;
    if (keys.length === 0) {
      this.leaves.splice(at, 1);
      this.firsts.splice(at, 1);
    } else if (position === 0) {
      this.firsts[at] = keys[0];
    }
    return before;
  }

  /** A cursor over the keys with `from <= key < to`, before its first row. Any change of the map invalidates it. */
  cursor(from: ByteString, to: ByteString | undefined, reverse: boolean): SortedMapCursor<V> {
    return new SortedMapCursor(this.leaves, this.place(from), this.placeOfEnd(to), reverse);
  }

  /** Number of keys with `from <= key < to`. */
  count(from: ByteString, to: ByteString | undefined): number {
    const start = this.place(from);
    const end = this.placeOfEnd(to);
    if (start.leaf > end.leaf || (start.leaf === end.leaf && start.row >= end.row)) return 0;
    let rows = end.row - start.row;
    for (let leaf = start.leaf; leaf < end.leaf; leaf++) rows += this.leaves[leaf].keys.length;
    assert(rows >= 0, 'a range of a sorted map has no negative length');
    return rows;
  }

  /** The place of the first key that is not below `key`. */
  private place(key: ByteString): Place {
    const at = this.leafOf(key);
    if (at < 0) return { leaf: 0, row: 0 };
    const { keys } = this.leaves[at];
    const row = lowerBound(keys, key);
    return row === keys.length ? { leaf: at + 1, row: 0 } : { leaf: at, row };
  }

  private placeOfEnd(to: ByteString | undefined): Place {
    return to === undefined ? { leaf: this.leaves.length, row: 0 } : this.place(to);
  }

  /** Index of the last leaf whose first key is at most `key`, or -1. */
  private leafOf(key: ByteString): number {
    const { firsts } = this;
    let low = 0;
    let high = firsts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (firsts[middle] <= key) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Keys that arrive in ascending order leave full leaves behind, others leaves of half the size. */
  private split(at: number, isAscending: boolean): void {
    const leaf = this.leaves[at];
    const cut = isAscending ? leaf.keys.length - 1 : leaf.keys.length >>> 1;
    const upper: Leaf<V> = { keys: leaf.keys.splice(cut), values: leaf.values.splice(cut) };
    this.leaves.splice(at + 1, 0, upper);
    this.firsts.splice(at + 1, 0, upper.keys[0]);
  }
}

/** Row `row` of leaf `leaf`; the end of the map is row 0 of the leaf after the last. */
interface Place {
  readonly leaf: number;
  readonly row: number;
}

/**
 * Walks a range of a {@link SortedMap}. `next()` moves to the following row and says whether there is one; `key` and
 * `value` are those of the current row.
 */
export class SortedMapCursor<V> {
  key: ByteString = '';
  value: V | undefined = undefined;
  private leaf: number;
  private row: number;
  private readonly lastLeaf: number;
  private readonly lastRow: number;

  constructor(
    private readonly leaves: readonly Leaf<V>[],
    start: Place,
    end: Place,
    private readonly reverse: boolean,
  ) {
    const [first, last] = reverse ? [end, start] : [start, end];
    this.leaf = first.leaf;
    this.row = first.row;
    this.lastLeaf = last.leaf;
    this.lastRow = last.row;
  }

  next(): boolean {
    return this.reverse ? this.previousRow() : this.nextRow();
  }

  private nextRow(): boolean {
    if (this.leaf > this.lastLeaf || (this.leaf === this.lastLeaf && this.row >= this.lastRow)) return false;
    const { keys, values } = this.leaves[this.leaf];
    this.key = keys[this.row];
    this.value = values[this.row];
    if (++this.row === keys.length) {
      this.leaf++;
      this.row = 0;
    }
    return true;
  }

  private previousRow(): boolean {
    if (this.leaf < this.lastLeaf || (this.leaf === this.lastLeaf && this.row <= this.lastRow)) return false;
    if (this.row === 0) {
      this.leaf--;
      this.row = this.leaves[this.leaf].keys.length;
    }
    this.row--;
    const { keys, values } = this.leaves[this.leaf];
    this.key = keys[this.row];
    this.value = values[this.row];
    return true;
  }
}

/** Index of the first key that is not below `key`. */
function lowerBound(keys: readonly ByteString[], key: ByteString): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
