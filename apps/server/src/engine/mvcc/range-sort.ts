import { type ByteString } from '../backend/backend.js';
import { assert } from '../platform/assert.js';
import { type StoredKeyValue } from './key-value.js';
import { SortTarget } from './range-query.js';

/** A key that a range considers, with the version at hand. */
export interface Candidate {
  readonly key: ByteString;
  mod: number;
  sub: number;
  create: number;
  version: number;
  lease: bigint;
  /** The version is newer than the revision asked for: the one at that revision has yet to be found. */
  isNewer: boolean;
  /** Only when sorting by value. */
  kv?: StoredKeyValue;
}

/** Candidates sorted at once; also the least number kept before a limit throws some away. */
const RUN_LENGTH = 2048;

/**
 * Sorts candidates by something else than their key, in bounded steps: runs of 2,048 are sorted as they fill and merged
 * in pairs. Equal ones stay in key order. With a limit, what cannot be among the first `limit` is dropped early.
 *
 * Invariants: candidates are added in key order. Every run in `runs` is sorted, and all in an earlier run precede, in
 * key order, those in a later one.
 */
export class CandidateSort {
  isSorted = false;
  /** There were more than the limit. */
  wasCut = false;
  private run: Candidate[] = [];
  private runs: Candidate[][] = [];
  private merging: Merge | undefined;
  private merged: Candidate[][] = [];
  private readonly compare: (left: Candidate, right: Candidate) => number;

  constructor(
    readonly target: SortTarget,
    descends: boolean,
    private readonly limit: number,
  ) {
    const ascending = comparison(target);
    this.compare = descends ? (left, right) => ascending(right, left) : ascending;
  }

  add(candidate: Candidate): void {
    this.run.push(candidate);
    if (this.run.length >= RUN_LENGTH) this.closeRun();
  }

  /** The sorted candidates, cut to the limit. Only when `isSorted`. */
  get result(): readonly Candidate[] {
    assert(this.isSorted, 'a sort is read when it is done');
    return this.runs[0] ?? [];
  }

  /** Merges up to about `items` candidates; at least one. Returns how many. */
  step(items: number): number {
    if (this.run.length > 0) {
      const { length } = this.run;
      this.closeRun();
      return length;
    }
    if (this.merging === undefined && !this.nextMerge()) return 1;
    const { merging } = this;
    assert(merging !== undefined, 'there is a merge to go on with');
    const done = merging.step(items);
    if (merging.isDone) {
      this.merged.push(merging.output);
      this.merging = undefined;
    }
    return done;
  }

  private closeRun(): void {
    this.run.sort(this.compare);
    if (this.run.length > this.limit) {
      this.run.length = this.limit;
      this.wasCut = true;
    }
    this.runs.push(this.run);
    this.run = [];
  }

  /** Takes the next two neighbouring runs; false when all is one run. */
  private nextMerge(): boolean {
    if (this.runs.length === 0) {
      this.runs = this.merged;
      this.merged = [];
    }
    if (this.runs.length <= 1 && this.merged.length === 0) {
      this.isSorted = true;
      return false;
    }
    const [left, right] = this.runs.splice(0, 2);
    if (right === undefined) {
      this.merged.push(left);
      return this.nextMerge();
    }
    if (left.length + right.length > this.limit) this.wasCut = true;
    this.merging = new Merge(left, right, this.compare, this.limit);
    return true;
  }
}

/** Merges two sorted runs; of equals, those of the left one come first. */
class Merge {
  readonly output: Candidate[] = [];
  private leftAt = 0;
  private rightAt = 0;
  private readonly length: number;

  constructor(
    private readonly left: readonly Candidate[],
    private readonly right: readonly Candidate[],
    private readonly compare: (left: Candidate, right: Candidate) => number,
    limit: number,
  ) {
    this.length = Math.min(left.length + right.length, limit);
  }

  get isDone(): boolean {
    return this.output.length === this.length;
  }

  step(items: number): number {
    const { left, right, output } = this;
    const before = output.length;
    const end = Math.min(this.length, before + items);
    while (output.length < end) {
      const takesLeft =
        this.rightAt === right.length ||
        (this.leftAt < left.length && this.compare(left[this.leftAt], right[this.rightAt]) <= 0);
      output.push(takesLeft ? left[this.leftAt++] : right[this.rightAt++]);
    }
    return output.length - before;
  }
}

function comparison(target: SortTarget): (left: Candidate, right: Candidate) => number {
  switch (target) {
    case SortTarget.Key:
      return (left, right) => (left.key < right.key ? -1 : left.key > right.key ? 1 : 0);
    case SortTarget.Version:
      return (left, right) => left.version - right.version;
    case SortTarget.Create:
      return (left, right) => left.create - right.create;
    case SortTarget.Mod:
      return (left, right) => left.mod - right.mod;
    case SortTarget.Value:
      return compareValues;
  }
}

function compareValues(left: Candidate, right: Candidate): number {
  assert(left.kv !== undefined && right.kv !== undefined, 'values were read before sorting by them');
  return left.kv.compareValue(right.kv);
}
