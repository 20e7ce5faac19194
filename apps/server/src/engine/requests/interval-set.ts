import type { ByteString } from '../backend/backend.js';

/**
 * A set of byte strings given as half-open ranges, kept sorted, disjoint and merged, so that membership is one binary
 * search. An `end` of undefined has no upper bound.
 *
 * Invariant: starts[i] < ends[i] < starts[i + 1] for all i; only the last end may be undefined.
 */
export class IntervalSet {
  private readonly starts: ByteString[] = [];
  private readonly ends: (ByteString | undefined)[] = [];

  add(start: ByteString, end: ByteString | undefined): void {
    if (end !== undefined && end <= start) return;
    let first = this.firstEndingAtOrAfter(start);
    const from = first;
    let mergedStart = start;
    let mergedEnd = end;
    while (first < this.starts.length && (mergedEnd === undefined || this.starts[first] <= mergedEnd)) {
      if (this.starts[first] < mergedStart) mergedStart = this.starts[first];
      mergedEnd = laterEnd(mergedEnd, this.ends[first]);
      first++;
    }
    this.starts.splice(from, first - from, mergedStart);
    this.ends.splice(from, first - from, mergedEnd);
  }

  addAll(other: IntervalSet): void {
    for (let i = 0; i < other.starts.length; i++) this.add(other.starts[i], other.ends[i]);
  }

  has(key: ByteString): boolean {
    const index = this.firstEndingAtOrAfter(key);
    for (let i = index; i < this.starts.length && this.starts[i] <= key; i++) {
      const end = this.ends[i];
      if (end === undefined || key < end) return true;
    }
    return false;
  }

  private firstEndingAtOrAfter(key: ByteString): number {
    let low = 0;
    let high = this.ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const end = this.ends[middle];
      if (end !== undefined && end < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function laterEnd(a: ByteString | undefined, b: ByteString | undefined): ByteString | undefined {
  if (a === undefined || b === undefined) return undefined;
  return a > b ? a : b;
}
