import { assert } from '../platform/assert.js';
import { type Timer } from '../platform/clock.js';
import { type DiskError, type LogWriter } from '../platform/disk.js';
import { type HardState } from '../raft/message.js';
import { Batch, type Done, type LogWork } from './batch.js';
import { openLog, type OpenedLog } from './opening.js';
import { entrySize, segmentHeadSize, writeMetadata, type SegmentHead } from './payload.js';
import { recordSize, type RecordBytes, type RecordChain } from './record.js';
import { type KeptSegment } from './recovery.js';
import { SegmentPreparer, type PreparedSegment } from './segment-preparer.js';
import { beginSegment, type ActiveSegment } from './segment-writer.js';
import { emptyHardState, emptyMark, type LogMark, type RecoveredLog } from './state.js';
import { SyncMark } from './sync-mark.js';
import { withDefaults, WalMetrics, type WalOptions, type WalStats, type WalUpdate } from './wal-options.js';

/**
 * The write-ahead log of one member: the only source of durability. One thread calls it; it never blocks.
 *
 * While one write and sync is in flight, everything that arrives is encoded into the next batch, which goes out as one write and one
 * sync when the first is done. What does not fit (a burst, a full segment) waits in a queue, in order.
 *
 * Invariants:
 * - `done` callbacks come in the order of the calls, each after everything called before it is in the file, and durable if it
 *   asked for that.
 * - At most one of these is going on: a write, or the change to the next segment.
 * - The queue is empty, or the batch being filled cannot take its first work, or a change of segments is going on.
 * - A segment is left only after all of it was synced. So only the last segment can hold unproven records.
 * - After a failure nothing is written and no `done` is called any more.
 */
export class Wal {
  /** Called once, when the disk failed: the member must stop and not be continued by this process. */
  onFailure: ((error: Error) => void) | undefined;
  /** Called when the next segment cannot be prepared for lack of space: the member raises NOSPACE. Appends go on. */
  onNoSpace: ((error: DiskError) => void) | undefined;
  /** What an existing log held; undefined when the log is new. The entries can be large: take them and `forgetRecovered`. */
  recovered: RecoveredLog | undefined;

  private readonly writer: LogWriter;
  private readonly preparer: SegmentPreparer;
  private readonly metrics: WalMetrics;
  private readonly chain: RecordChain;
  private readonly kept: KeptSegment[];
  private active: ActiveSegment;
  private filling: Batch;
  private writing: Batch;
  private inFlight = false;
  private rolling = false;
  private rollBytes = 0;
  private queue: LogWork[] = [];
  private queueBytes = 0;
  /** State as of the last encoded record, for the head of the next segment. */
  private hardState: HardState;
  private mark: LogMark;
  private encodedIndex: number;
  /** Index of the last entry given to `append`, and of the last mark given to `saveMark` or `restartAfter`. */
  private lastIndex: number;
  private markIndex: number;
  private durableMarkIndex: number;
  private hasUnsynced = false;
  /** Highest `syncedLsn` that a record in the file carries. */
  private statedLsn: number;
  private idleTimer: Timer | undefined;
  private readonly syncMark: SyncMark;
  private chores: Promise<void> = Promise.resolve();
  private failure: Error | undefined;
  private closing = false;
  private onIdle: (() => void) | undefined;

  /**
   * Opens the log, or creates it when there is none and `options.create` is set.
   *
   * @throws WalError (and its subclass WalCorruptionError) when the log must not be used; DiskError when the disk fails.
   */
  static async open(options: WalOptions): Promise<Wal> {
    const complete = withDefaults(options);
    return new Wal(complete, await openLog(complete));
  }

  private constructor(
    private readonly options: Required<WalOptions>,
    opened: OpenedLog,
  ) {
    const { disk, clock, directory, segmentBytes, bufferBytes } = options;
    const { recovered } = opened;
    this.recovered = recovered;
    this.chain = opened.chain;
    this.active = opened.active;
    this.kept = [...opened.kept];
    this.hardState = recovered?.hardState ?? emptyHardState;
    this.mark = recovered?.mark ?? emptyMark;
    this.lastIndex = recovered?.entries.at(-1)?.index ?? this.mark.index;
    this.encodedIndex = this.lastIndex;
    this.markIndex = this.mark.index;
    this.durableMarkIndex = this.mark.index;
    this.statedLsn = this.chain.syncedLsn;
    this.metrics = new WalMetrics(options.meter);
    this.writer = disk.openLogWriter({
      onWritten: (writeMs, syncMs) => this.written(writeMs, syncMs),
      onWriteFailed: (error) => this.fail(error),
    });
    this.filling = new Batch(this.writer, bufferBytes);
    this.writing = new Batch(this.writer, bufferBytes);
    this.filling.fileOffset = this.active.offset;
    const segmentBytesMin = Math.min(segmentBytes, 1024 * 1024);
    this.preparer = new SegmentPreparer(
      { disk, clock, directory, segmentBytes, segmentBytesMin },
      {
        prepared: () => this.rolling && this.tryRoll(),
        outOfSpace: (error) => this.outOfSpace(error),
        failed: (error) => this.fail(error),
      },
    );
    this.syncMark = new SyncMark(options, () => this.chore(() => this.syncMark.renew(this.chain.syncedLsn)));
    this.preparer.start(this.active.sequence + 1);
    this.armTimers();
  }

  get stats(): WalStats {
    const { fsyncs, bytes, lastFsyncMs } = this.metrics;
    const { lastLsn, syncedLsn } = this.chain;
    const segments = this.kept.length + 1;
    const noSpace = this.preparer.isShortOfSpace;
    return { fsyncs, bytes, lastFsyncMs, queueBytes: this.queueBytes, segments, noSpace, lastLsn, syncedLsn };
  }

  /** Lets the recovered entries go. */
  forgetRecovered(): void {
    this.recovered = undefined;
  }

  /**
   * Adds an update. `done` is called after it is durable, or after it is in the file when `mustSync` is false. The
   * entries' data must not change until then.
   */
  append(update: WalUpdate, done: Done): void {
    const { entries, hardState, mustSync } = update;
    let bytes = 0;
    if (entries.length > 0) {
      const first = entries[0]!.index;
      assert(first > this.markIndex, 'entries come after the mark');
      assert(first <= this.lastIndex + 1, 'entries leave no gap');
      this.lastIndex = first + entries.length - 1;
      for (let i = 0; i < entries.length; i++) bytes += entrySize(entries[i]!);
    }
    this.accept({ hardState, entries, mark: undefined, mustSync, done, bytes, next: 0 });
  }

  /**
   * Says that everything up to `mark.index` is held elsewhere, durably: the log starts there when it is opened the next
   * time, and entries before it can be cut. It may stay behind what is held, for members that still need the entries
   * between. A mark at the index of the last one replaces its configuration.
   *
   * `mark.term` is that of the entry at `mark.index`: a mark that does not agree with the log replaces it, as
   * {@link restartAfter} says.
   */
  saveMark(mark: LogMark, done?: Done): void {
    assert(mark.index >= this.markIndex, 'the mark never goes back');
    assert(mark.index <= this.lastIndex, 'a mark lies within the log');
    this.markIndex = mark.index;
    this.accept({ hardState: undefined, entries: [], mark, mustSync: true, done, bytes: 0, next: 0 });
  }

  /**
   * Begins the log anew after `mark.index`: a state of another member was installed that goes so far, durably, and the log
   * does not lead to it, because it ends before, or has another term there. All entries are gone when `done` is called, the hard
   * state stays, and the next entry is `mark.index + 1`. A crash before leaves the old log or the new mark, nothing between.
   *
   * One record does it: entries above a mark that the log disagrees with are not part of the log (see `replay.ts`).
   */
  restartAfter(mark: LogMark, done?: Done): void {
    assert(mark.index > this.markIndex, 'a log begins anew further on');
    this.markIndex = mark.index;
    this.lastIndex = mark.index;
    const work = { hardState: undefined, entries: [], mark, mustSync: true, done, bytes: 0, next: 0 };
    this.accept({ ...work, restarts: true });
  }

  /** Lets the segments go whose entries are all at or below `upToIndex` and covered by a durable mark. */
  cut(upToIndex: number): void {
    const limit = Math.min(upToIndex, this.durableMarkIndex);
    let count = 0;
    while (count < this.kept.length && this.kept[count]!.lastIndex <= limit) count++;
    // One after the other: a crash must not keep an older segment and lose a newer one.
    for (const segment of this.kept.splice(0, count)) this.chore(() => this.preparer.retire(segment));
  }

  /**
   * Waits until everything is done, states that the log is complete, and releases its files. Work that waits for space is given up;
   * nobody was told that it had succeeded.
   */
  async close(): Promise<void> {
    if (this.closing) return;
    this.closing = true;
    this.idleTimer?.cancel();
    this.syncMark.cancel();
    if (!this.isIdle && !this.isStalled && this.failure === undefined) {
      await new Promise<void>((resolve) => (this.onIdle = resolve));
    }
    if (this.failure === undefined && this.hasUnsynced) {
      this.chore(async () => {
        await this.active.file.sync();
        this.chain.syncedLsn = this.chain.lastLsn;
      });
    }
    await this.preparer.close();
    this.chore(() => this.syncMark.renew(this.chain.syncedLsn));
    await this.chores;
    await this.active.file.close();
    this.writer.close();
  }

  private accept(work: LogWork): void {
    assert(!this.closing, 'a closed log takes no work');
    if (this.failure !== undefined) return;
    this.queueBytes += work.bytes;
    if (this.rolling || this.queue.length > 0 || !this.encode(work)) this.queue.push(work);
    this.pump();
  }

  /** Puts work into the batch being filled; false when some of it has to wait. */
  private encode(work: LogWork): boolean {
    const refusal = this.filling.add(work, this.chain, this.active.capacity);
    if (refusal === undefined || work.next > 0) this.noteEncoded(work);
    if (refusal === undefined) return true;
    if (!this.filling.isEmpty || this.inFlight) return false;
    if (refusal.reason === 'segment full') {
      this.startRoll(refusal.size);
      return false;
    }
    this.filling.enlarge(refusal.size);
    return this.encode(work);
  }

  private noteEncoded(work: LogWork): void {
    if (work.hardState !== undefined) this.hardState = work.hardState;
    if (work.next > 0) this.encodedIndex = work.entries[work.next - 1]!.index;
    if (work.mark === undefined) return;
    this.mark = work.mark;
    if (work.restarts === true) this.encodedIndex = work.mark.index;
  }

  /** Starts the next write unless something is going on. */
  private pump(): void {
    if (this.inFlight || this.rolling || this.failure !== undefined) return;
    let taken = 0;
    while (taken < this.queue.length && this.encode(this.queue[taken]!)) taken++;
    if (taken > 0) this.queue.splice(0, taken);
    if (!this.filling.isEmpty) this.submit();
    else if (this.isIdle) this.onIdle?.();
  }

  private submit(): void {
    const batch = this.filling;
    this.filling = this.writing;
    this.writing = batch;
    this.inFlight = true;
    this.active.offset += batch.length;
    this.active.lastIndex = Math.max(this.active.lastIndex, batch.lastIndex);
    this.filling.fileOffset = this.active.offset;
    const bytes = batch.finish(this.active.capacity);
    this.writer.write(this.active.file, batch.fileOffset, batch.buffer, bytes, batch.mustSync);
  }

  private written(writeMs: number, syncMs: number): void {
    const batch = this.writing;
    if (this.failure !== undefined) return;
    this.inFlight = false;
    this.queueBytes -= batch.workBytes;
    this.metrics.written(batch.length, writeMs);
    this.statedLsn = Math.max(this.statedLsn, batch.statedLsn);
    if (batch.mustSync) {
      this.metrics.synced(syncMs);
      this.hasUnsynced = false;
      this.chain.syncedLsn = Math.max(this.chain.syncedLsn, batch.lastLsn);
      this.durableMarkIndex = Math.max(this.durableMarkIndex, batch.markIndex);
    } else if (batch.length > 0) {
      this.hasUnsynced = true;
    }
    const dones = batch.reset();
    this.pump();
    for (const done of dones) done();
    this.armTimers();
  }

  private outOfSpace(error: DiskError): void {
    this.options.logger.error('no space for the next log segment', {
      directory: this.options.directory,
      code: error.code,
    });
    this.onNoSpace?.(error);
    if (this.closing) this.onIdle?.();
  }

  /** The next record, of `bytes`, does not fit in the active segment. Nothing is in flight, and the batch is empty. */
  private startRoll(bytes: number): void {
    this.rolling = true;
    this.rollBytes = bytes;
    this.tryRoll();
  }

  private tryRoll(): void {
    if (this.failure !== undefined) return;
    const head = this.nextHead();
    const headBytes = recordSize(segmentHeadSize({ ...head, contentLsn: 0 }));
    const prepared = this.preparer.take(headBytes + this.rollBytes);
    if (prepared === undefined) return;
    this.roll(prepared, head).then(
      () => this.pump(),
      (error: unknown) => this.fail(error),
    );
  }

  private nextHead(): Omit<SegmentHead, 'contentLsn'> {
    const { hardState, mark } = this;
    return { metadata: this.options.metadata, firstIndex: this.encodedIndex + 1, hardState, mark };
  }

  private async roll(prepared: PreparedSegment, head: Omit<SegmentHead, 'contentLsn'>): Promise<void> {
    const { disk, logger } = this.options;
    const full = this.active;
    if (this.hasUnsynced) await full.file.sync();
    this.hasUnsynced = false;
    this.active = await beginSegment(disk, prepared, this.chain, head, []);
    await full.file.close();
    const { path, sequence, lastIndex, capacity } = full;
    this.kept.push({ path, sequence, lastIndex, capacity });
    this.durableMarkIndex = head.mark.index;
    this.statedLsn = this.chain.syncedLsn;
    this.filling.fileOffset = this.active.offset;
    logger.debug('log segment begun', { segment: this.active.path, firstIndex: head.firstIndex });
    this.preparer.start(this.active.sequence + 1);
    this.rolling = false;
  }

  private get isIdle(): boolean {
    return !this.inFlight && !this.rolling && this.queue.length === 0 && this.filling.isEmpty;
  }

  private get isStalled(): boolean {
    return this.rolling && this.preparer.isShortOfSpace;
  }

  private armTimers(): void {
    if (this.closing || this.failure !== undefined) return;
    const { clock, idleSyncMs } = this.options;
    if (this.idleTimer === undefined && this.chain.syncedLsn > this.statedLsn) {
      this.idleTimer = clock.after(idleSyncMs, () => this.stateSynced());
    }
    this.syncMark.arm(this.chain.syncedLsn);
  }

  /** Lets a record say how far the log is durable, so that damage before it is told from a crash. It needs no sync itself. */
  private stateSynced(): void {
    this.idleTimer = undefined;
    if (!this.isIdle) return this.armTimers();
    const { metadata } = this.options;
    const payload = (target: RecordBytes, at: number): number => writeMetadata(target, at, metadata);
    if (this.filling.addSync(this.chain, this.active.capacity, payload)) this.submit();
  }

  /** Work on the directory, one piece after another. */
  private chore(work: () => Promise<void>): void {
    this.chores = this.chores
      .then(() => (this.failure === undefined ? work() : undefined))
      .catch((error: unknown) => this.fail(error));
  }

  private fail(cause: unknown): void {
    if (this.failure !== undefined) return;
    const reason = cause instanceof Error ? cause.message : String(cause);
    this.failure = new Error(
      `the write-ahead log failed: ${reason}. The member stops, because after a failed write or sync nobody knows what the disk ` +
        'holds. Check the disk and the log of the kernel, then start the member again: it recovers everything that was confirmed.',
      { cause },
    );
    this.idleTimer?.cancel();
    this.syncMark.cancel();
    this.options.logger.error('write-ahead log failed', { directory: this.options.directory, reason });
    this.onFailure?.(this.failure);
    this.onIdle?.();
  }
}
