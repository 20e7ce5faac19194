import { ProtocolError } from '@conclave/protocol';
import { type Backend, type ByteString } from '../backend/backend.js';
import { assert } from '../platform/assert.js';
import { type LeaseChangeListener } from './change.js';
import { Compaction } from './compaction.js';
import { HashScan, type HashResult } from './hash.js';
import { type StoredKeyValue } from './key-value.js';
import { KvBlock } from './kv-block.js';
import { type LogRow } from './log-row.js';
import { type KeyMetadata, type RangeQuery, type RangeResult } from './range-query.js';
import { RangeScan, ScannedRange, type RangeSource } from './range-scan.js';
import { ReadView } from './read-view.js';
import { loadState, saveState, type StoreState } from './state-row.js';
import { WriteTxn, type WriteTxnStore } from './write-txn.js';

export { Change, type ChangeSet, type LeaseChangeListener } from './change.js';
export { type DeleteCursor, type DeleteResult } from './delete-cursor.js';
export { type WriteTxn } from './write-txn.js';

/**
 * The multi-version store: keys, their versions, and the revisions that order them, over a backend.
 *
 * Writes go through one transaction at a time, driven by apply. Reads may come at any moment between calls, also while
 * a transaction is open: they see the current revision, which moves only when a transaction ends. Everything is
 * synchronous; what may take long comes in slices that its caller drives.
 *
 * Durability is the backend's affair: whoever applies entries calls `backend.setApplied` after the transaction.
 */
export class MvccStore implements RangeSource, WriteTxnStore {
  readonly view: ReadView;
  private readonly txn: WriteTxn;
  private readonly compaction: Compaction;

  private constructor(
    readonly backend: Backend,
    readonly state: StoreState,
  ) {
    this.view = new ReadView(backend);
    this.txn = new WriteTxn(this);
    this.compaction = new Compaction(backend, state);
  }

  /**
   * Opens the store that a backend holds. Nothing but the row of revisions is read.
   * @throws CorruptionError, UnknownFormatError
   */
  static open(backend: Backend): MvccStore {
    return new MvccStore(backend, loadState(backend));
  }

  /**
   * The backend was given a later state of the same history: reads what the store knows of it anew, in place. Reads in slices go
   * on over the new state, which has everything at their revision, or end with `Compacted`. No transaction is open.
   * @throws CorruptionError, UnknownFormatError; the member cannot go on then.
   */
  reload(): void {
    assert(!this.txn.isActive, 'a state is not replaced within a transaction');
    const loaded = loadState(this.backend);
    assert(loaded.currentRevision >= this.state.currentRevision, 'a later state has no older revision');
    assert(loaded.compactRevision >= this.state.compactRevision, 'a later state is compacted as far');
    Object.assign(this.state, loaded);
  }

  /** Revision of the newest change; 1 in a fresh store. */
  get currentRevision(): number {
    return this.state.currentRevision;
  }

  /** Reads below it are refused; -1 before the first compaction. */
  get compactRevision(): number {
    return this.state.compactRevision;
  }

  /** Keys that exist now. */
  get liveKeys(): number {
    return this.state.liveKeys;
  }

  /**
   * A range at one revision, at once. Right for single keys and small ranges; for others see {@link rangeSlices}.
   * @throws ProtocolError `Compacted`, `FutureRev`. @throws CorruptionError
   */
  range(query: RangeQuery): RangeResult {
    return this.rangeAt(this, query);
  }

  /**
   * A range in slices, at a revision that is fixed now.
   * @throws ProtocolError `Compacted`, `FutureRev`
   */
  rangeSlices(query: RangeQuery): RangeScan {
    return new RangeScan(this, query, checkedRevision(this, query.revision ?? 0));
  }

  /** A copy of a key's version at a revision (0: current); undefined when the key did not exist. @throws as `range` */
  get(key: ByteString, revision = 0): StoredKeyValue | undefined {
    return this.view.find(key, checkedRevision(this, revision)) ? this.view.copyOfRow() : undefined;
  }

  /** The row of a key as it is now, valid until the next call into the store; undefined when the key does not exist. */
  current(key: ByteString): LogRow | undefined {
    return this.view.find(key, this.state.currentRevision) ? this.view.row : undefined;
  }

  /** Revisions, version and lease of a key as it is now, without reading its value; undefined when it does not exist. */
  head(key: ByteString): KeyMetadata | undefined {
    return this.view.metadata(key, this.state.currentRevision);
  }

  /** Refuses what `range` would refuse. @throws ProtocolError `Compacted`, `FutureRev` */
  checkRevision(revision: number): void {
    checkedRevision(this, revision);
  }

  /**
   * Begins the write transaction. It ends with `end()`; only one is open at a time.
   * @param onLeaseChange Told, during the changes, of each key that moves from one lease to another.
   */
  begin(onLeaseChange?: LeaseChangeListener): WriteTxn {
    return this.txn.start(onLeaseChange);
  }

  /**
   * Refuses reads below `revision` from now on; what is thereby unreachable is removed by {@link compactSlice}.
   * @throws ProtocolError `Compacted` when that was compacted before, `FutureRev` when it is above the current revision.
   */
  compact(revision: number): void {
    assert(!this.txn.isActive, 'a compaction is an entry of its own');
    const { state } = this;
    if (revision <= state.compactRevision) throw ProtocolError.of('Compacted');
    if (revision > state.currentRevision) throw ProtocolError.of('FutureRev');
    // What the compaction before kept at its own revision is looked at again, also when it is not finished.
    if (state.resumeMain === state.compactRevision) state.resumeSub = 0;
    state.compactRevision = revision;
    saveState(this.backend, state);
  }

  /** Versions that compactions removed since the start of the process. */
  get compactedRows(): number {
    return this.compaction.removedRows;
  }

  /** There are rows that a compaction has yet to remove. */
  get compactionPending(): boolean {
    return this.compaction.pending;
  }

  /**
   * Goes on with the compaction, looking at `rows` log rows at most.
   * @returns true while there is more to do. @throws CorruptionError
   */
  compactSlice(rows: number): boolean {
    return this.compaction.slice(rows);
  }

  /**
   * etcd's HashKV at a revision (0: current), in slices.
   * @throws ProtocolError `Compacted`, `FutureRev`
   */
  hashSlices(revision: number): HashScan {
    return new HashScan(this, checkedRevision(this, revision));
  }

  /** {@link hashSlices} at once. */
  hashKv(revision: number): HashResult {
    const scan = this.hashSlices(revision);
    for (;;) {
      const result = scan.step(Number.MAX_SAFE_INTEGER);
      if (result !== undefined) return result;
    }
  }

  /** Part of {@link WriteTxnStore}. */
  rangeAt(source: RangeSource, query: RangeQuery): RangeResult {
    const revision = checkedRevision(source, query.revision ?? 0);
    if (query.bounds.single && isPlain(query)) return this.getAt(source, query, revision);
    const scan = new RangeScan(source, query, revision);
    for (;;) {
      const result = scan.step(Number.MAX_SAFE_INTEGER);
      if (result !== undefined) return result;
    }
  }

  /** Part of {@link WriteTxnStore}. */
  commit(revision: number): void {
    const { state } = this;
    assert(revision === state.currentRevision + 1, 'a transaction takes the next revision');
    assert(Number.isSafeInteger(revision), 'a revision is a safe integer');
    assert(state.liveKeys >= 0, 'there are no fewer than no keys');
    assert(state.tombstoneHeads >= 0, 'there are no fewer than no tombstones');
    state.currentRevision = revision;
    saveState(this.backend, state);
  }

  private getAt(source: RangeSource, query: RangeQuery, revision: number): RangeResult {
    const { view } = this;
    if (!view.find(query.bounds.from, revision)) {
      return new ScannedRange(new KvBlock(0), 0, false, source.currentRevision);
    }
    const { bytes, keyValueStart, keyValueEnd } = view.row;
    const block = new KvBlock(keyValueEnd - keyValueStart + 8);
    block.append(bytes, keyValueStart, keyValueEnd);
    return new ScannedRange(block, 1, false, source.currentRevision);
  }
}

/** Neither filters nor a form other than the whole KeyValue: sorting and a limit do nothing to one key. */
function isPlain(query: RangeQuery): boolean {
  return (
    query.keysOnly !== true &&
    query.countOnly !== true &&
    (query.minMod ?? 0) === 0 &&
    (query.maxMod ?? 0) === 0 &&
    (query.minCreate ?? 0) === 0 &&
    (query.maxCreate ?? 0) === 0
  );
}

/** The revision that a request means; 0 or less is the current one. @throws ProtocolError `Compacted`, `FutureRev` */
function checkedRevision(source: RangeSource, revision: number): number {
  const { currentRevision } = source;
  if (revision > currentRevision) throw ProtocolError.of('FutureRev');
  const effective = revision <= 0 ? currentRevision : revision;
  if (effective < source.compactRevision) throw ProtocolError.of('Compacted');
  return effective;
}
