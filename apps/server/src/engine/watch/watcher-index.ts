import { type ByteString } from '../backend/backend.js';
import { assert } from '../platform/assert.js';
import { type RangeBounds } from '../mvcc/range-bounds.js';
import { IntervalIndex } from './interval-index.js';
import { type Watcher } from './watcher.js';

/** The watchers of exactly one key or range. Invariant: `watchers[i].slot === i` and `watchers[i].group === this`. */
export class WatcherGroup {
  readonly watchers: Watcher[] = [];

  constructor(
    readonly index: WatcherIndex,
    readonly bounds: RangeBounds,
  ) {}
}

/** Finds the watchers of a key: through a map for single keys, through an interval index for ranges. */
export class WatcherIndex {
  size = 0;
  private readonly keys = new Map<ByteString, WatcherGroup>();
  private readonly ranges = new IntervalIndex<WatcherGroup>();
  private readonly found: WatcherGroup[] = [];

  add(watcher: Watcher): void {
    assert(watcher.group === undefined, 'a watcher is in one index at a time');
    const group = this.groupOf(watcher.bounds);
    watcher.group = group;
    watcher.slot = group.watchers.length;
    group.watchers.push(watcher);
    this.size++;
  }

  /** The groups that a change of `key` concerns; valid until the next call. */
  match(key: ByteString): readonly WatcherGroup[] {
    const { found } = this;
    found.length = 0;
    const group = this.keys.get(key);
    if (group !== undefined) found.push(group);
    if (this.ranges.size > 0) this.ranges.collect(key, found);
    return found;
  }

  /** Takes a watcher out of the index that it is in, if any. */
  static remove(watcher: Watcher): void {
    const { group } = watcher;
    if (group === undefined) return;
    const { watchers, index } = group;
    const last = watchers.pop();
    assert(last !== undefined, 'a group that a watcher is in is not empty');
    if (last !== watcher) {
      watchers[watcher.slot] = last;
      last.slot = watcher.slot;
    }
    watcher.group = undefined;
    index.size--;
    if (watchers.length === 0) index.drop(group.bounds);
  }

  private groupOf(bounds: RangeBounds): WatcherGroup {
    const existing = bounds.single ? this.keys.get(bounds.from) : this.ranges.get(bounds.from, bounds.to);
    if (existing !== undefined) return existing;
    const group = new WatcherGroup(this, bounds);
    if (bounds.single) this.keys.set(bounds.from, group);
    else this.ranges.set(bounds.from, bounds.to, group);
    return group;
  }

  private drop(bounds: RangeBounds): void {
    if (bounds.single) this.keys.delete(bounds.from);
    else this.ranges.delete(bounds.from, bounds.to);
  }
}
