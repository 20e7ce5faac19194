import { type ChangeSet, type MvccStore } from '../mvcc/mvcc-store.js';
import { assert } from '../platform/assert.js';
import { type Clock, type Timer } from '../platform/clock.js';
import { type Random } from '../platform/random.js';
import { CatchUp } from './catch-up.js';
import { ChangeBytes } from './change-bytes.js';
import { Delivery } from './delivery.js';
import { LogReader } from './log-reader.js';
import { type ControlResponse, encodeControl, HeaderField, type WatchHeader } from './response-bytes.js';
import { ResponseWriter } from './response-writer.js';
import { SlabPool } from './slab.js';
import { type WatchSink } from './watch-sink.js';
import { type WatchAuthorizer, WatchStream } from './watch-stream.js';
import { type Watcher } from './watcher.js';
import { WatcherIndex } from './watcher-index.js';

export interface WatchHubOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** The parts of every response header that the store does not know. Called per revision; must be cheap. */
  readonly header: () => WatchHeader;
  /** Responses of watches that allow it are split at this size; etcd: max-request-bytes + 512 KiB. */
  readonly fragmentBytes: number;
  /** How often progress_notify reports, plus up to a tenth at random; default 10 minutes. */
  readonly progressIntervalMs?: number;
  /** Revisions in one response of a watcher that catches up, at most; default 1,000. */
  readonly catchUpRevisionsMax?: number;
  /** Transactions with more changes are not notified inline, but read from the log in slices; default 1,024. */
  readonly inlineChangesMax?: number;
  /** Log rows read between two looks at the clock; default 512. */
  readonly stepRows?: number;
  /** Size of the pieces of memory that responses are written to; default 256 KiB. */
  readonly slabBytes?: number;
}

/** Figures for metrics. */
export interface WatchStats {
  readonly watchers: number;
  readonly streams: number;
  /** Watchers that are not synced: they catch up, or their stream holds back. */
  readonly slowWatchers: number;
  /** Events found and not yet sent. */
  readonly pendingEvents: number;
  /** Events sent since the start, times watchers. */
  readonly eventsSent: number;
}

const PROGRESS_INTERVAL_MS = 10 * 60 * 1000;
const CATCH_UP_REVISIONS = 1000;
const INLINE_CHANGES = 1024;
const STEP_ROWS = 512;
/** A call of `runCatchUp` ends after so many steps even if the clock stands still. */
const STEPS_MAX = 64;

/**
 * All watches of a member.
 *
 * Synced watchers are in one index and are sent what a transaction changed at once, in `notify`. All others catch up
 * from the log in slices that the replica drives (see {@link CatchUp}). A transaction too large to be notified inline
 * makes the hub itself lag: it then reads the log in slices, on behalf of all synced watchers, until it is current.
 *
 * Invariants: synced watchers were sent everything up to `notified`, and have `next` where they are not from then on.
 * `notified` <= the store's current revision; they differ only while the hub lags. An unsynced watcher becomes synced
 * when its `next` is above `notified`, and above the revision that a lagging hub has read in part.
 */
export class WatchHub {
  /** Called when there is catching up to do and there was none before; the replica then calls `runCatchUp`. */
  onWork: (() => void) | undefined = undefined;
  readonly catchUp: CatchUp;
  private readonly index = new WatcherIndex();
  private readonly streams = new Set<WatchStream>();
  private readonly headerField: HeaderField;
  private readonly delivery: Delivery;
  private readonly reader: LogReader;
  private readonly change = new ChangeBytes();
  private readonly inlineChangesMax: number;
  private readonly stepRows: number;
  private notified: number;
  private watcherCount = 0;
  private syncedCount = 0;
  private isWorkWanted = false;

  constructor(
    readonly store: MvccStore,
    private readonly options: WatchHubOptions,
  ) {
    this.notified = store.currentRevision;
    this.inlineChangesMax = options.inlineChangesMax ?? INLINE_CHANGES;
    this.stepRows = options.stepRows ?? STEP_ROWS;
    this.headerField = new HeaderField(options.header);
    const writer = new ResponseWriter(options.fragmentBytes, new SlabPool(options.slabBytes));
    this.delivery = new Delivery(writer);
    this.reader = new LogReader(this.delivery);
    this.catchUp = new CatchUp(this, writer, options.catchUpRevisionsMax ?? CATCH_UP_REVISIONS);
  }

  /** Synced watchers were sent everything up to the current revision. */
  get isCurrent(): boolean {
    return this.notified === this.store.currentRevision;
  }

  get stats(): WatchStats {
    return {
      watchers: this.watcherCount,
      streams: this.streams.size,
      slowWatchers: this.watcherCount - this.syncedCount,
      pendingEvents: this.delivery.pendingEvents + this.catchUp.delivery.pendingEvents,
      eventsSent: this.delivery.eventsSent + this.catchUp.delivery.eventsSent,
    };
  }

  /** Opens a stream of watches. @param authorize Asked at each creation; absent: everything is allowed. */
  open(sink: WatchSink, authorize?: WatchAuthorizer): WatchStream {
    const stream = new WatchStream(this, sink, authorize);
    this.streams.add(stream);
    return stream;
  }

  /** Told of every transaction when it has ended, before the next one begins. */
  notify(set: ChangeSet): void {
    if (set.count === 0) return;
    assert(set.revision === this.store.currentRevision, 'a transaction is notified when it is the newest');
    if (this.index.size === 0 && this.notified + 1 === set.revision) {
      this.notified = set.revision;
      return;
    }
    if (this.notified + 1 !== set.revision || !set.isComplete || set.count > this.inlineChangesMax) {
      this.lagBehind();
      return;
    }
    const { delivery, change, index } = this;
    for (const listed of set.changes) delivery.match(index, change.ofChange(listed, set.revision));
    delivery.resolvePrevious(this.store);
    this.notified = set.revision;
    delivery.send(set.revision + 1, this.headerAt(set.revision));
    if (delivery.held.length > 0) this.letGo();
  }

  /**
   * Catches up for about `budgetMs`.
   * @returns true while there is more to do.
   */
  runCatchUp(budgetMs = 2): boolean {
    const { clock } = this.options;
    const deadline = clock.now() + budgetMs;
    for (let step = 0; step < STEPS_MAX && this.hasWork; step++) {
      if (step > 0 && clock.now() >= deadline) break;
      if (!this.isCurrent) this.lagStep();
      if (this.catchUp.hasWork) this.catchUp.step(this.stepRows);
    }
    this.isWorkWanted = this.hasWork;
    return this.isWorkWanted;
  }

  /**
   * The store was reloaded from a later state of the same history. Every watch goes on after what it was sent last, from the new
   * state's log, or is canceled if that was compacted; one of the future keeps waiting (etcd #15271).
   */
  restored(): void {
    assert(this.store.currentRevision >= this.notified, 'a later state has no older revision');
    this.delivery.abandon();
    this.reader.seek(this.notified + 1);
    this.catchUp.restart();
    if (!this.isCurrent) this.lagBehind();
  }

  /** Closes all streams. */
  close(): void {
    for (const stream of [...this.streams]) stream.close();
  }

  private get hasWork(): boolean {
    return !this.isCurrent || this.catchUp.hasWork;
  }

  /** The rest is for the parts of this folder. */

  headerAt(revision: number): Uint8Array {
    return this.headerField.at(revision);
  }

  encodeControl(response: ControlResponse, revision: number): Uint8Array {
    return encodeControl(this.headerAt(revision), response);
  }

  afterProgressInterval(callback: () => void): Timer {
    const { clock, random, progressIntervalMs = PROGRESS_INTERVAL_MS } = this.options;
    const jitter = random.below(Math.max(1, Math.floor(progressIntervalMs / 10) + 1));
    return clock.after(progressIntervalMs + jitter, callback);
  }

  /** Takes a watcher in, which is counted as unsynced by its stream. */
  attach(watcher: Watcher): void {
    this.watcherCount++;
    this.settle(watcher);
  }

  /** Puts an unsynced watcher in no group where it belongs. */
  settle(watcher: Watcher): void {
    const { stream } = watcher;
    if (watcher.next < this.store.compactRevision) stream.cancelCompacted(watcher);
    else if (watcher.next > this.horizon) this.sync(watcher);
    else if (stream.isBlocked) stream.park(watcher);
    else this.catchUp.enqueue(watcher);
  }

  /** Ends a watcher's part in everything. Its stream has counted it out. */
  detach(watcher: Watcher): void {
    if (watcher.isClosed) return;
    watcher.isClosed = true;
    WatcherIndex.remove(watcher);
    if (watcher.isSynced) this.syncedCount--;
    this.watcherCount--;
  }

  forget(stream: WatchStream): void {
    this.streams.delete(stream);
  }

  wantWork(): void {
    if (this.isWorkWanted) return;
    this.isWorkWanted = true;
    this.onWork?.();
  }

  /** The newest revision that a watcher must have behind it to become synced. */
  private get horizon(): number {
    return this.reader.isAtBoundary ? this.notified : this.notified + 1;
  }

  private sync(watcher: Watcher): void {
    this.index.add(watcher);
    watcher.isSynced = true;
    watcher.stream.unsynced--;
    this.syncedCount++;
  }

  private unsync(watcher: Watcher): void {
    WatcherIndex.remove(watcher);
    watcher.isSynced = false;
    watcher.stream.unsynced++;
    this.syncedCount--;
  }

  /** Watchers whose streams hold back leave the index, and wait for the sink to drain. */
  private letGo(): void {
    const { held } = this.delivery;
    for (const watcher of held) {
      if (watcher.isClosed) continue;
      this.unsync(watcher);
      watcher.stream.park(watcher);
    }
    held.length = 0;
  }

  private lagBehind(): void {
    if (this.reader.main <= this.notified) this.reader.seek(this.notified + 1);
    this.wantWork();
  }

  /** Reads on behalf of all synced watchers; one response per revision, as if it had been notified inline. */
  private lagStep(): void {
    const { reader, delivery, store } = this;
    if (this.index.size === 0) {
      this.notified = store.currentRevision;
      reader.seek(this.notified + 1);
      return;
    }
    if (reader.main < store.compactRevision) {
      this.giveUpLag();
      return;
    }
    assert(reader.main === this.notified + 1, 'the hub goes on after what it notified last');
    const revision = reader.main;
    const next = reader.read(store, this.index, revision + 1, this.stepRows, Number.POSITIVE_INFINITY);
    if (next <= revision) return;
    this.notified = revision;
    delivery.send(next, this.headerAt(revision));
    this.letGo();
  }

  /** A compaction overtook the lagging hub: each watcher goes on for itself, and is canceled if it missed something. */
  private giveUpLag(): void {
    const next = this.notified + 1;
    this.delivery.abandon();
    this.notified = this.store.currentRevision;
    this.reader.seek(this.notified + 1);
    for (const stream of this.streams) {
      for (const watcher of [...stream.watchers.values()]) {
        if (!watcher.isSynced) continue;
        this.unsync(watcher);
        if (watcher.next < next) watcher.next = next;
        this.settle(watcher);
      }
    }
  }
}
