import { assert } from '../platform/assert.js';
import { type Clock, type Timer } from '../platform/clock.js';
import { type Disk, joinPath } from '../platform/disk.js';
import { type Logger } from '../platform/logger.js';
import { StateDirectory } from '../snapshot/state-directory.js';
import { CHUNK_BYTES, ChunkPool } from './arena.js';
import {
  type AppliedMark,
  type Backend,
  type BackendStats,
  type ByteString,
  type LogPosition,
  type ScanOptions,
  type StateCopy,
  type Table,
} from './backend.js';
import { type BackendError } from './backend-error.js';
import { type FlushListener } from './flush-thread.js';
import { Generation } from './generation.js';
import { LayeredReader } from './layered-reader.js';
import { OpenedFile } from './lmdb-opened-file.js';
import { type LmdbOwner, LmdbStates } from './lmdb-states.js';
import { type FileFigures } from './lmdb-tables.js';
import { assertLogPosition, tableNumber } from './schema.js';

export interface LmdbBackendOptions {
  /** Where the file lies, beside its lock file; for this store alone. */
  readonly directory: string;
  /**
   * Address space that is reserved for the file; it costs nothing until it is used, and may differ from start to
   * start. Twice the quota and 1 GiB is enough, as a flush replaces pages before it frees the old ones. Beyond it the
   * map grows, which works, but costs resident memory.
   */
  readonly mapBytes: number;
  readonly clock: Clock;
  /** Open as long as the backend is. */
  readonly disk: Disk;
  readonly logger: Logger;
  /** Default 50,000. */
  readonly generationRowsMax?: number;
  /** Default 32 MiB. */
  readonly generationBytesMax?: number;
  /** Default 2,000. */
  readonly generationAgeMs?: number;
  /** The size of the open generation from which on the owner must push back. Default 128 MiB. */
  readonly pushBackBytes?: number;
}

const MEBIBYTE = 1024 * 1024;
const RETRY_MS = 1_000;
/** The file of a member that never installed a state. */
const FIRST_NAME = 'state.lmdb';

/**
 * A backend over an LMDB file: the newest changes are in the open generation, those before in a closed one that the
 * flush thread is writing, everything older in the file.
 *
 *     reads    open generation  >  flushing generation  >  file, at the snapshot before the flushing one
 *     writes   open generation only
 *
 * A generation closes at 50,000 rows, 32 MiB or 2 seconds, at a `setApplied` boundary, once none is being flushed. The
 * thread writes it in one durable transaction together with its mark. Then, in one step of the main thread, the
 * reader is renewed and the generation dropped. Nothing here ever waits for a transaction.
 *
 * While flushing falls behind, the open generation grows, and from `pushBackBytes` on `stats.mustPushBack` asks the
 * owner to accept less. Its address space ends at 2 GiB; an owner that does not listen is stopped there.
 *
 * Lack of space puts a flush off: both generations stay, the flush is tried again every second, and `stats.noSpace`
 * says why. Nothing is lost, since the log holds it all. Any other failure is final and goes to `onFailure`.
 *
 * Invariants: `flushed.index <= flushing.mark.index <= open.mark.index`; the reader's snapshot holds exactly the
 * state at `flushed`; a closed generation is never written again; `completeRows <= open.rows`.
 */
export class LmdbBackend implements Backend, LmdbOwner {
  onFlushed: ((mark: AppliedMark) => void) | undefined = undefined;
  onNoSpace: (() => void) | undefined = undefined;
  onFailure: ((error: Error) => void) | undefined = undefined;

  private readonly pool: ChunkPool;
  private readonly rowsMax: number;
  private readonly bytesMax: number;
  private readonly ageMs: number;
  private readonly pushBackBytes: number;
  private layers: LayeredReader;
  private flushedMark: AppliedMark;
  /** Rows of the open generation that belong to complete entries. */
  private completeRows = 0;
  /** Whether the open generation holds a boundary that the generation before it does not. */
  private hasBoundary = false;
  /** Close the open generation as soon as possible, whatever its size. */
  private wantsClose = false;
  private readonly states: LmdbStates;
  private ageTimer: Timer | undefined = undefined;
  private retryTimer: Timer | undefined = undefined;
  private noSpace: string | undefined = undefined;
  private lastFlushMs = 0;
  private readonly waiting = new Map<Generation, (() => void)[]>();
  private lastMain = -1;
  private lastSub = -1;
  private isClosed = false;
  private hasFailed = false;

  private constructor(
    private readonly options: LmdbBackendOptions,
    states: StateDirectory,
    private file: OpenedFile,
    listener: FlushListener,
  ) {
    this.rowsMax = options.generationRowsMax ?? 50_000;
    this.bytesMax = options.generationBytesMax ?? 32 * MEBIBYTE;
    this.ageMs = options.generationAgeMs ?? 2_000;
    this.pushBackBytes = options.pushBackBytes ?? 128 * MEBIBYTE;
    this.pool = new ChunkPool(Math.ceil((2 * this.bytesMax) / CHUNK_BYTES));
    this.flushedMark = file.reader.readMark();
    this.layers = new LayeredReader(new Generation(this.pool, this.flushedMark), file.reader);
    const { disk, logger, mapBytes } = options;
    this.states = new LmdbStates({ states, disk, logger, listener, mapBytes }, this);
    this.noteLastLog();
  }

  /**
   * Opens the file, or makes it, and starts the flush thread.
   *
   * @throws BackendError, DiskError
   */
  static async start(options: LmdbBackendOptions): Promise<LmdbBackend> {
    const { directory, disk, mapBytes, logger } = options;
    const states = await StateDirectory.open({ disk, directory, logger, firstName: FIRST_NAME });
    const path = joinPath(directory, states.currentName ?? FIRST_NAME);
    const listener: FlushListener = {
      onFlushed: (figures, milliseconds) => backend.finishFlush(figures, milliseconds),
      onFlushFailed: (error) => backend.failFlush(error),
    };
    const file = await OpenedFile.open({ path, mapBytes }, disk, listener);
    let backend: LmdbBackend;
    try {
      backend = new LmdbBackend(options, states, file, listener);
    } catch (error) {
      await file.close();
      throw error;
    }
    return backend;
  }

  get applied(): AppliedMark {
    return this.layers.open.mark;
  }

  get flushed(): AppliedMark {
    return this.flushedMark;
  }

  /** Whether the flush thread has, or soon gets again, a generation to write. */
  get isFlushing(): boolean {
    return this.layers.flushing !== undefined;
  }

  get spaceInUse(): number {
    return this.file.reader.figures.usedBytes + this.layers.bytes;
  }

  get stats(): BackendStats {
    const { open, rows, bytes } = this.layers;
    const { fileBytes, usedBytes } = this.file.reader.figures;
    return {
      fileBytes,
      usedBytes,
      openReads: 1 + this.states.copying,
      generationRows: rows,
      generationBytes: bytes,
      flushLagEntries: open.mark.index - this.flushedMark.index,
      mustPushBack: open.bytes >= (this.noSpace === undefined ? this.pushBackBytes : this.bytesMax),
      noSpace: this.noSpace,
      lastFlushMs: this.lastFlushMs,
    };
  }

  put(table: Table, key: ByteString, value: Uint8Array): void {
    this.beginWrite();
    this.layers.open.put(tableNumber(table), key, value);
  }

  delete(table: Table, key: ByteString): void {
    this.beginWrite();
    this.layers.open.delete(tableNumber(table), key);
  }

  appendLog(main: number, sub: number, row: Uint8Array): void {
    this.beginWrite();
    assertLogPosition(main, sub);
    const follows = main > this.lastMain || (main === this.lastMain && sub > this.lastSub);
    if (!follows)
      assert(false, `log position ${main}/${sub} does not follow ${this.lastMain}/${this.lastSub}`);
    this.lastMain = main;
    this.lastSub = sub;
    this.layers.open.appendLog(main, sub, row);
  }

  deleteLog(main: number, sub: number): void {
    this.beginWrite();
    assertLogPosition(main, sub);
    this.layers.open.deleteLog(main, sub);
  }

  setApplied(mark: AppliedMark): void {
    this.beginWrite();
    const { open } = this.layers;
    assert(mark.index >= open.mark.index, 'the applied index never decreases');
    assert(mark.term >= open.mark.term, 'the applied term never decreases');
    open.mark = { index: mark.index, term: mark.term };
    this.completeRows = open.rows;
    this.hasBoundary = true;
    if (this.ageTimer === undefined) this.ageTimer = this.options.clock.after(this.ageMs, () => this.onAge());
    this.closeIfDue();
  }

  get(table: Table, key: ByteString): Uint8Array | undefined {
    this.beginRead();
    return this.layers.get(table, key);
  }

  scan(
    table: Table,
    from: ByteString,
    to: ByteString | undefined,
    options: ScanOptions,
    visit: (key: ByteString, value: Uint8Array) => boolean | void,
  ): void {
    this.beginRead();
    this.layers.scan(table, from, to, options, visit);
  }

  count(table: Table, from: ByteString, to: ByteString | undefined): number {
    this.beginRead();
    return this.layers.count(table, from, to);
  }

  getLog(main: number, sub: number): Uint8Array | undefined {
    this.beginRead();
    return this.layers.getLog(main, sub);
  }

  scanLog(
    from: LogPosition,
    to: LogPosition | undefined,
    visit: (main: number, sub: number, row: Uint8Array) => boolean | void,
  ): void {
    this.beginRead();
    this.layers.scanLog(from, to, visit);
  }

  flush(): Promise<void> {
    assert(!this.isClosed, 'a closed backend does not flush');
    const { open, flushing } = this.layers;
    const last = this.hasBoundary ? open : flushing;
    if (last === undefined) return Promise.resolve();
    const durable = new Promise<void>((resolve) => {
      const others = this.waiting.get(last) ?? [];
      this.waiting.set(last, [...others, resolve]);
    });
    this.wantsClose = this.hasBoundary;
    this.closeIfDue();
    return durable;
  }

  get installed(): AppliedMark | undefined {
    return this.states.installed;
  }

  copyTo(path: string): Promise<StateCopy> {
    assert(!this.isClosed, 'a closed backend is not copied');
    return this.states.copy(this.file, path);
  }

  install(...state: Parameters<Backend['install']>): Promise<void> {
    assert(!this.isClosed, 'a closed backend installs nothing');
    return this.states.installs.run(...state);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.ageTimer?.cancel();
    this.retryTimer?.cancel();
    await this.states.ended();
    await this.file.close();
  }

  /** Part of {@link LmdbOwner}. */
  replaceFile(next: OpenedFile): OpenedFile {
    const { file, layers } = this;
    assert(layers.scans === 0, 'a state is not replaced within a visit');
    this.ageTimer?.cancel();
    this.ageTimer = undefined;
    this.retryTimer?.cancel();
    this.noSpace = undefined;
    this.completeRows = 0;
    this.hasBoundary = false;
    this.wantsClose = false;
    // The flush thread may still read the other generation.
    layers.open.release();
    this.file = next;
    this.flushedMark = next.reader.readMark();
    this.layers = new LayeredReader(new Generation(this.pool, this.flushedMark), next.reader);
    this.noteLastLog();
    const waiters = [...this.waiting.values()].flat();
    this.waiting.clear();
    for (const resolve of waiters) resolve();
    return file;
  }

  /** Part of {@link LmdbOwner}. */
  get isUsable(): boolean {
    return !this.isClosed && !this.hasFailed;
  }

  private noteLastLog(): void {
    const last = this.file.reader.lastLog();
    this.lastMain = last?.main ?? -1;
    this.lastSub = last?.sub ?? -1;
  }

  private beginRead(): void {
    assert(!this.isClosed, 'a closed backend is not read');
  }

  private beginWrite(): void {
    assert(!this.isClosed, 'a closed backend is not written');
    assert(this.layers.scans === 0, 'a visit does not write into the backend');
  }

  private onAge(): void {
    this.ageTimer = undefined;
    this.wantsClose = this.hasBoundary;
    this.closeIfDue();
  }

  /** Closes the open generation when it is large or old enough, ends with a complete entry, and is next in turn. */
  private closeIfDue(): void {
    const { open, flushing } = this.layers;
    if (!this.wantsClose && open.rows < this.rowsMax && open.bytes < this.bytesMax) return;
    if (flushing !== undefined || this.isClosed || this.hasFailed) return;
    if (!this.hasBoundary || open.rows !== this.completeRows) return;
    this.ageTimer?.cancel();
    this.ageTimer = undefined;
    this.wantsClose = false;
    this.hasBoundary = false;
    this.completeRows = 0;
    this.layers.flushing = open;
    this.layers.open = new Generation(this.pool, open.mark);
    this.writeFlushing();
  }

  private writeFlushing(): void {
    const { flushing } = this.layers;
    assert(flushing !== undefined, 'a closed generation is flushed by the thread');
    this.file.thread.flush(flushing.redo(), flushing.mark);
  }

  private finishFlush(figures: FileFigures, milliseconds: number): void {
    if (this.isClosed) return;
    const { flushing } = this.layers;
    assert(flushing !== undefined, 'what was flushed is the flushing generation');
    assert(this.layers.scans === 0, 'the main thread hears of a flush between its other work');
    this.file.reader.renew(figures);
    this.layers.flushing = undefined;
    this.flushedMark = flushing.mark;
    this.lastFlushMs = milliseconds;
    if (this.noSpace !== undefined)
      this.options.logger.info('flushing works again', { index: flushing.mark.index });
    this.noSpace = undefined;
    const waiters = this.waiting.get(flushing) ?? [];
    this.waiting.delete(flushing);
    flushing.release();
    for (const resolve of waiters) resolve();
    this.onFlushed?.(this.flushedMark);
    this.closeIfDue();
  }

  private failFlush(error: BackendError): void {
    if (this.isClosed || this.hasFailed) return;
    if (error.code !== 'no-space' || this.layers.flushing === undefined) return this.fail(error);
    if (this.noSpace === undefined) {
      this.options.logger.warn('flushing is put off for lack of space', { reason: error.message });
    }
    this.noSpace = error.message;
    this.onNoSpace?.();
    this.retryTimer = this.options.clock.after(RETRY_MS, () => {
      if (!this.isClosed && !this.hasFailed) this.writeFlushing();
    });
  }

  /** Part of {@link LmdbOwner}. */
  fail(error: Error): void {
    if (this.hasFailed) return;
    this.hasFailed = true;
    this.options.logger.error('the state file cannot be written', { reason: error.message });
    this.onFailure?.(error);
  }
}
