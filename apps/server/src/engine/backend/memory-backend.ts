import { assert } from '../platform/assert.js';
import { type Timer } from '../platform/clock.js';
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
import { BackendError } from './backend-error.js';
import { type MemoryBackendOptions, type PendingFlush } from './memory-options.js';
import { emptyState, encodeRows, type MemoryState, rowBytes, rowsOf, type Undo } from './memory-state.js';
import { type LoadedState, type MemoryOwner, MemoryStates } from './memory-states.js';
import { encodeLogKey, mainOfLogKey, subOfLogKey } from './schema.js';
import { type SortedMapCursor } from './sorted-map.js';

export type { MemoryBackendOptions, PendingFlush };

/** The changes that led from the previous boundary to `mark`. */
interface Step {
  readonly mark: AppliedMark;
  readonly undo: readonly Undo[];
}

const POISON = 0xdd;
const NOTHING: AppliedMark = { index: 0, term: 0 };

/**
 * A backend without a file that models crashes, for the simulator, for tests and for embedded members that keep
 * nothing.
 *
 * Invariants: `state` is the result of everything written. Undoing `open` and then `steps` from the last to the first
 * leads back to the state at `flushed`. `steps` ends with the boundary of `applied`, unless that is `flushed`.
 */
export class MemoryBackend implements Backend, MemoryOwner {
  onFlushed: ((mark: AppliedMark) => void) | undefined = undefined;
  onNoSpace: (() => void) | undefined = undefined;
  onFailure: ((error: Error) => void) | undefined = undefined;

  private appliedMark: AppliedMark;
  private flushedMark: AppliedMark;
  private steps: Step[] = [];
  private open: Undo[] = [];
  private openRows = 0;
  private openBytes = 0;
  private ageTimer: Timer | undefined = undefined;
  private inFlight: AppliedMark | undefined = undefined;
  private wantsFlush = false;
  private readonly waiting: { readonly mark: AppliedMark; readonly resolve: () => void }[] = [];
  private lastLogKey: ByteString = '';
  private lent: Uint8Array | undefined = undefined;
  private scans = 0;
  private isClosed = false;
  private hasCrashed = false;
  private readonly states: MemoryStates | undefined;

  constructor(
    private readonly options: MemoryBackendOptions = {},
    private state: MemoryState = emptyState(),
    mark: AppliedMark = NOTHING,
    /** Keys and values of all rows of `state`. */
    private usedBytes = 0,
    private installedMark: AppliedMark | undefined = undefined,
  ) {
    this.appliedMark = mark;
    this.flushedMark = mark;
    this.states = options.states === undefined ? undefined : new MemoryStates(options.states, this);
    this.noteLastLog();
  }

  /**
   * What a new process finds: `survivor`, which {@link crash} returned, or, when the crash came between the last step of
   * an install and its end, the installed state. @throws SnapshotError, DiskError
   */
  static async recover(survivor: MemoryBackend): Promise<MemoryBackend> {
    const loaded = await survivor.states?.load();
    const index = survivor.installedMark?.index ?? 0;
    assert((loaded?.mark.index ?? 0) >= index, 'what was installed is durable');
    if (loaded !== undefined && loaded.mark.index > index) survivor.replaceState(loaded);
    return survivor;
  }

  get applied(): AppliedMark {
    return this.appliedMark;
  }

  get flushed(): AppliedMark {
    return this.flushedMark;
  }

  get spaceInUse(): number {
    return this.usedBytes + this.openBytes;
  }

  get stats(): BackendStats {
    return {
      fileBytes: this.usedBytes,
      usedBytes: this.usedBytes,
      openReads: 0,
      generationRows: this.openRows,
      generationBytes: this.openBytes,
      flushLagEntries: this.appliedMark.index - this.flushedMark.index,
      mustPushBack: false,
      noSpace: undefined,
      lastFlushMs: 0,
    };
  }

  put(table: Table, key: ByteString, value: Uint8Array): void {
    this.beginWrite();
    this.note(table, key, this.state.tables[table].set(key, new Uint8Array(value)), value);
  }

  delete(table: Table, key: ByteString): void {
    this.beginWrite();
    const before = this.state.tables[table].delete(key);
    if (before !== undefined) this.note(table, key, before, undefined);
  }

  appendLog(main: number, sub: number, row: Uint8Array): void {
    this.beginWrite();
    const key = encodeLogKey(main, sub);
    assert(key > this.lastLogKey, `log position ${main}/${sub} does not follow the last one`);
    this.lastLogKey = key;
    this.note(undefined, key, this.state.log.set(key, new Uint8Array(row)), row);
  }

  deleteLog(main: number, sub: number): void {
    this.beginWrite();
    const key = encodeLogKey(main, sub);
    const before = this.state.log.delete(key);
    if (before !== undefined) this.note(undefined, key, before, undefined);
  }

  setApplied(mark: AppliedMark): void {
    this.beginWrite();
    assert(mark.index >= this.appliedMark.index, 'the applied index never decreases');
    assert(mark.term >= this.appliedMark.term, 'the applied term never decreases');
    this.appliedMark = { index: mark.index, term: mark.term };
    this.steps.push({ mark: this.appliedMark, undo: this.open });
    this.open = [];
    if (this.ageTimer === undefined && this.options.clock !== undefined) {
      this.ageTimer = this.options.clock.after(this.options.generationAgeMs ?? 2_000, () => this.onAge());
    }
    if (this.openRows >= (this.options.generationRowsMax ?? 50_000)) this.startFlush();
  }

  get(table: Table, key: ByteString): Uint8Array | undefined {
    this.beginRead();
    return this.lend(this.state.tables[table].get(key));
  }

  scan(
    table: Table,
    from: ByteString,
    to: ByteString | undefined,
    options: ScanOptions,
    visit: (key: ByteString, value: Uint8Array) => boolean | void,
  ): void {
    this.beginRead();
    this.walk(this.state.tables[table].cursor(from, to, options.reverse === true), visit);
  }

  count(table: Table, from: ByteString, to: ByteString | undefined): number {
    this.beginRead();
    return this.state.tables[table].count(from, to);
  }

  getLog(main: number, sub: number): Uint8Array | undefined {
    this.beginRead();
    return this.lend(this.state.log.get(encodeLogKey(main, sub)));
  }

  scanLog(
    from: LogPosition,
    to: LogPosition | undefined,
    visit: (main: number, sub: number, row: Uint8Array) => boolean | void,
  ): void {
    this.beginRead();
    const end = to === undefined ? undefined : encodeLogKey(to.main, to.sub);
    this.walk(this.state.log.cursor(encodeLogKey(from.main, from.sub), end, false), (key, row) =>
      visit(mainOfLogKey(key), subOfLogKey(key), row),
    );
  }

  flush(): Promise<void> {
    assert(!this.isClosed, 'a closed backend does not flush');
    if (this.steps.length === 0) return Promise.resolve();
    const mark = this.appliedMark;
    const durable = new Promise<void>((resolve) => this.waiting.push({ mark, resolve }));
    this.startFlush();
    return durable;
  }

  get installed(): AppliedMark | undefined {
    return this.installedMark;
  }

  copyTo(path: string): Promise<StateCopy> {
    const { states } = this;
    if (states === undefined) return Promise.reject(noStates(path));
    assert(!this.isClosed, 'a closed backend is not copied');
    const undo = [...this.steps.flatMap((step) => step.undo), ...this.open];
    return states.write(path, this.flushedMark, encodeRows(this.state, undo));
  }

  install(
    path: string,
    wanted: AppliedMark,
    onInstalled: () => void,
    isWanted?: () => boolean,
  ): Promise<void> {
    const { states } = this;
    if (states === undefined) return Promise.reject(noStates(path));
    return states.installs.run(path, wanted, onInstalled, isWanted);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.ageTimer?.cancel();
    if (!this.hasCrashed) await this.states?.installs.ended();
  }

  /**
   * The member dies and starts again: this backend is dead from now on, and the returned one holds what its file
   * would hold. `choose` gets all boundaries that may have survived, from `flushed` to `applied`, and returns the
   * index of the one that did.
   */
  crash(
    choose: (candidates: readonly AppliedMark[]) => number,
    options: MemoryBackendOptions = this.options,
  ): MemoryBackend {
    assert(!this.hasCrashed, 'a backend crashes once');
    this.hasCrashed = true;
    void this.close();
    const candidates = [this.flushedMark, ...this.steps.map((step) => step.mark)];
    const chosen = choose(candidates);
    assert(Number.isInteger(chosen) && chosen >= 0 && chosen < candidates.length, `no candidate ${chosen}`);
    this.revert(this.open);
    for (let at = this.steps.length - 1; at >= chosen; at--) this.revert(this.steps[at].undo);
    return new MemoryBackend(options, this.state, candidates[chosen], this.usedBytes, this.installedMark);
  }

  private revert(undo: readonly Undo[]): void {
    for (let at = undo.length - 1; at >= 0; at--) {
      const { table, key, before } = undo[at];
      const rows = rowsOf(this.state, table);
      const after = before === undefined ? rows.delete(key) : rows.set(key, before);
      this.usedBytes += rowBytes(key, before) - rowBytes(key, after);
    }
  }

  /** Part of {@link MemoryOwner}. */
  replaceState({ state, usedBytes, mark }: LoadedState): void {
    assert(this.scans === 0, 'a state is not replaced within a visit');
    this.takeBack();
    this.ageTimer?.cancel();
    this.ageTimer = undefined;
    this.state = state;
    this.usedBytes = usedBytes;
    this.steps = [];
    this.open = [];
    this.openRows = 0;
    this.openBytes = 0;
    this.inFlight = undefined;
    this.wantsFlush = false;
    this.appliedMark = mark;
    this.flushedMark = mark;
    this.installedMark = mark;
    this.noteLastLog();
    for (const { resolve } of this.waiting.splice(0)) resolve();
  }

  /** Part of {@link MemoryOwner}. */
  get isUsable(): boolean {
    return !this.isClosed;
  }

  /** Part of {@link MemoryOwner}. */
  fail(error: Error): void {
    this.onFailure?.(error);
  }

  private noteLastLog(): void {
    const last = this.state.log.cursor('', undefined, true);
    this.lastLogKey = last.next() ? last.key : '';
  }

  private beginRead(): void {
    assert(!this.isClosed, 'a closed backend is not read');
    this.takeBack();
  }

  private beginWrite(): void {
    assert(!this.isClosed, 'a closed backend is not written');
    assert(this.scans === 0, 'a visit does not write into the backend');
    this.takeBack();
  }

  private takeBack(): void {
    this.lent?.fill(POISON);
    this.lent = undefined;
  }

  private lend(value: Uint8Array | undefined): Uint8Array | undefined {
    if (value === undefined || this.options.poisonsReads === false) return value;
    this.lent = new Uint8Array(value);
    return this.lent;
  }

  private walk(
    cursor: SortedMapCursor<Uint8Array>,
    visit: (key: ByteString, value: Uint8Array) => boolean | void,
  ): void {
    this.scans++;
    try {
      while (cursor.next()) {
        const value = this.lend(cursor.value);
        assert(value !== undefined, 'a row has a value');
        if (visit(cursor.key, value) === false) return;
        this.takeBack();
      }
    } finally {
      this.scans--;
    }
  }

  private note(
    table: Table | undefined,
    key: ByteString,
    before: Uint8Array | undefined,
    after: Uint8Array | undefined,
  ): void {
    this.open.push({ table, key, before });
    this.openRows++;
    this.openBytes += key.length + (after?.length ?? 0);
    this.usedBytes += rowBytes(key, after) - rowBytes(key, before);
  }

  private onAge(): void {
    this.ageTimer = undefined;
    if (!this.isClosed) this.startFlush();
  }

  private startFlush(): void {
    if (this.inFlight !== undefined) {
      this.wantsFlush = true;
      return;
    }
    if (this.steps.length === 0) return;
    this.ageTimer?.cancel();
    this.ageTimer = undefined;
    this.wantsFlush = false;
    const mark = this.appliedMark;
    this.inFlight = mark;
    this.openRows = this.open.length;
    this.openBytes = 0;
    const flush: PendingFlush = {
      mark,
      complete: () => this.finishFlush(mark),
      fail: (error) => {
        const counts = !this.isClosed && this.inFlight === mark;
        if (counts) this.onFailure?.(error);
        return counts;
      },
    };
    if (this.options.onFlush !== undefined) this.options.onFlush(flush);
    else queueMicrotask(flush.complete);
  }

  private finishFlush(mark: AppliedMark): void {
    if (this.isClosed || this.inFlight !== mark) return;
    this.inFlight = undefined;
    const last = this.steps.findIndex((step) => step.mark === mark);
    assert(last >= 0, 'what was being flushed is among the steps');
    const durable = new Set(this.steps.splice(0, last + 1).map((step) => step.mark));
    this.flushedMark = mark;
    while (this.waiting.length > 0 && durable.has(this.waiting[0].mark)) this.waiting.shift()?.resolve();
    this.onFlushed?.(mark);
    if (this.wantsFlush) this.startFlush();
  }
}

function noStates(path: string): BackendError {
  return new BackendError('io', `${path}: this memory backend was made without a disk for states.`);
}
