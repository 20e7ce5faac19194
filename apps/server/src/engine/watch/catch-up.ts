import { Delivery } from './delivery.js';
import { LogReader } from './log-reader.js';
import { type ResponseWriter } from './response-writer.js';
import { type WatchHub } from './watch-hub.js';
import { type Watcher } from './watcher.js';
import { WatcherIndex } from './watcher-index.js';

/** Watchers that read the log together at most. */
const COHORT_WATCHERS = 1024;
/** Responses of one pass over the log are sent when they reach this size. */
const PASS_BYTES = 1024 * 1024;

/**
 * Brings unsynced watchers up to date from the log.
 *
 * Watchers whose next revisions lie within one window of the log (1,000 revisions, which is what one response may
 * cover) form a cohort and share one pass over it. Cohorts take turns from the oldest to the newest; one that has more
 * to read joins the next round, where it may merge with others. So a watcher far behind delays the others by one pass
 * at most.
 *
 * Invariants: a queued watcher is unsynced, and in `waiting` or in `round` from `roundAt` on; a watcher of the cohort is
 * in its index. A watcher that was closed, or whose stream holds back, is dropped (or parked) when its turn comes.
 */
export class CatchUp {
  readonly delivery: Delivery;
  private readonly reader: LogReader;
  private waiting: Watcher[] = [];
  /** Sorted by `next`. */
  private round: Watcher[] = [];
  private roundAt = 0;
  private cohort: Watcher[] = [];
  private index = new WatcherIndex();
  /** The first revision beyond the cohort's window. */
  private windowEnd = 0;

  constructor(
    private readonly hub: WatchHub,
    writer: ResponseWriter,
    private readonly windowRevisions: number,
  ) {
    this.delivery = new Delivery(writer);
    this.reader = new LogReader(this.delivery);
  }

  get hasWork(): boolean {
    return this.cohort.length > 0 || this.roundAt < this.round.length || this.waiting.length > 0;
  }

  enqueue(watcher: Watcher): void {
    this.waiting.push(watcher);
    this.hub.wantWork();
  }

  /** Reads at most about `rows` rows of the log. Call while `hasWork`. */
  step(rows: number): void {
    if (this.cohort.length === 0 && !this.formCohort()) return;
    const { hub, reader, delivery } = this;
    const { store } = hub;
    if (reader.main < store.compactRevision) {
      this.disband(reader.main);
      return;
    }
    const end = Math.min(this.windowEnd, store.currentRevision + 1);
    const done = reader.read(store, this.index, end, rows, PASS_BYTES);
    delivery.send(done, hub.headerAt(store.currentRevision));
    this.letGo();
    if (done >= end || reader.isAtBoundary) this.disband(done);
  }

  /** The store was reloaded from a later state: a pass that was begun goes on in it. */
  restart(): void {
    if (this.cohort.length > 0) this.disband(this.reader.main);
  }

  /** Takes the watchers whose turn it is. @returns false when none is ready now. */
  private formCohort(): boolean {
    if (this.roundAt >= this.round.length) {
      this.round = this.waiting.sort((left, right) => left.next - right.next);
      this.waiting = [];
      this.roundAt = 0;
    }
    while (this.roundAt < this.round.length && this.cohort.length < COHORT_WATCHERS) {
      const watcher = this.round[this.roundAt];
      if (this.cohort.length > 0 && watcher.next >= this.windowEnd) break;
      this.roundAt++;
      if (!this.isReady(watcher)) continue;
      if (this.cohort.length === 0) this.windowEnd = watcher.next + this.windowRevisions;
      this.index.add(watcher);
      this.cohort.push(watcher);
    }
    if (this.cohort.length === 0) return false;
    this.reader.seek(this.cohort[0].next);
    return true;
  }

  private isReady(watcher: Watcher): boolean {
    if (watcher.isClosed) return false;
    if (watcher.next < this.hub.store.compactRevision) {
      watcher.stream.cancelCompacted(watcher);
      return false;
    }
    if (watcher.stream.isBlocked) {
      watcher.stream.park(watcher);
      return false;
    }
    return true;
  }

  /** Takes the watchers whose streams hold back out of the cohort. */
  private letGo(): void {
    const { held } = this.delivery;
    for (const watcher of held) {
      WatcherIndex.remove(watcher);
      if (!watcher.isClosed) watcher.stream.park(watcher);
    }
    held.length = 0;
  }

  /** Ends the cohort: everything below `next` was sent to those still in it. */
  private disband(next: number): void {
    const { cohort, hub } = this;
    this.delivery.abandon();
    this.cohort = [];
    this.index = new WatcherIndex();
    for (const watcher of cohort) {
      // Who is in no group any more was closed or let go.
      if (watcher.group === undefined) continue;
      watcher.group = undefined;
      if (watcher.next < next) watcher.next = next;
      hub.settle(watcher);
    }
  }
}
