import { type Backend, type ByteString } from '../backend/backend.js';
import { assert } from '../platform/assert.js';
import { Change, CHANGES_LISTED_MAX, type ChangeSet, type LeaseChangeListener } from './change.js';
import { DeleteCursor, type DeleteResult } from './delete-cursor.js';
import { decodeHead, Head, HEAD_ROW_BYTES_MAX, writeHead } from './head-row.js';
import { keyValueSize, type StoredKeyValue, writeKeyValue } from './key-value.js';
import { LOG_ROW_PREFIX_BYTES, logRowPrefixSize, sealLogRow, writeLogRowPrefix } from './log-row.js';
import { type RangeBounds } from './range-bounds.js';
import { type KeyMetadata, type RangeQuery, type RangeResult } from './range-query.js';
import { type RangeSource } from './range-scan.js';
import { type ReadView } from './read-view.js';
import { RowArena } from './row-arena.js';
import { ScratchRow } from './scratch-row.js';
import { type StoreState } from './state-row.js';
import { VersionRoots } from './version-chain.js';

/** What the transaction needs of the store that owns it. */
export interface WriteTxnStore {
  readonly backend: Backend;
  readonly view: ReadView;
  readonly state: StoreState;
  rangeAt(source: RangeSource, query: RangeQuery): RangeResult;
  /** Makes the transaction's revision current and stores it. */
  commit(revision: number): void;
}

/** The links of the row that is being written. */
class Links {
  tombstone = false;
  created = false;
  prevMain = 0;
  prevSub = 0;
  jumpMain = 0;
  jumpSub = 0;
}

const NO_VALUE = new Uint8Array(0);

/**
 * The one write transaction of a store. All its changes get the revision after the current one, and become visible to
 * readers of the store when it ends; ranges inside see them at once. It cannot be undone: whatever may fail is checked
 * before the first change.
 *
 * Invariant: `nextSub` is the number of changes so far.
 */
export class WriteTxn implements RangeSource {
  private isOpen = false;
  private revision = 0;
  private nextSub = 0;
  private changes: Change[] = [];
  private isComplete = true;
  private onLeaseChange: LeaseChangeListener | undefined;
  private readonly arena = new RowArena();
  private readonly headRow = new ScratchRow(HEAD_ROW_BYTES_MAX);
  private readonly newest = new Head();
  private readonly roots = new VersionRoots();
  private readonly links = new Links();

  constructor(private readonly store: WriteTxnStore) {}

  get backend(): Backend {
    return this.store.backend;
  }

  get view(): ReadView {
    return this.store.view;
  }

  get compactRevision(): number {
    return this.store.state.compactRevision;
  }

  /** The revision that ranges inside see as the current one: the transaction's own once it changed something. */
  get currentRevision(): number {
    return this.nextSub > 0 ? this.revision : this.store.state.currentRevision;
  }

  get changed(): boolean {
    return this.nextSub > 0;
  }

  get isActive(): boolean {
    return this.isOpen;
  }

  /** Called by the store. */
  start(onLeaseChange: LeaseChangeListener | undefined): this {
    assert(!this.isOpen, 'one write transaction at a time');
    this.isOpen = true;
    this.revision = this.store.state.currentRevision + 1;
    this.nextSub = 0;
    this.changes = [];
    this.isComplete = true;
    this.onLeaseChange = onLeaseChange;
    this.arena.reset();
    return this;
  }

  /**
   * Puts a key. The version it replaces can be read beforehand with {@link get}.
   * @param lease The lease to hang the key on; 0n takes it off the one it had.
   */
  put(key: ByteString, value: Uint8Array, lease: bigint): void {
    assert(this.isOpen, 'a put needs an open transaction');
    assert(key.length > 0, 'a key has at least one byte');
    const { newest: head, links, revision } = this;
    const { state } = this.store;
    const existed = this.loadHead(key);
    const live = existed && !head.tombstone;
    const previousLease = live ? head.lease : 0n;
    if (!live) state.liveKeys++;
    if (existed && !live) state.tombstoneHeads--;
    links.tombstone = false;
    links.created = !live;
    head.create = live ? head.create : revision;
    head.version = live ? head.version + 1 : 1;
    head.lease = lease;
    head.tombstone = false;
    this.write(key, value, previousLease);
  }

  /** Deletes one key. @returns false when it does not exist. */
  delete(key: ByteString): boolean {
    assert(this.isOpen, 'a delete needs an open transaction');
    const { newest: head, links } = this;
    if (!this.loadHead(key) || head.tombstone) return false;
    const { state } = this.store;
    const previousLease = head.lease;
    state.liveKeys--;
    state.tombstoneHeads++;
    links.tombstone = true;
    links.created = false;
    head.create = 0;
    head.version = 0;
    head.lease = 0n;
    head.tombstone = true;
    this.write(key, NO_VALUE, previousLease);
    return true;
  }

  /** Deletes a range at once. For ranges of any size use {@link deleteSlices}. */
  deleteRange(bounds: RangeBounds, wantsPrevious = false): DeleteResult {
    const cursor = this.deleteSlices(bounds, wantsPrevious);
    while (!cursor.step(Number.MAX_SAFE_INTEGER));
    return cursor;
  }

  /** Deletes a range in slices; the store serves reads at the revision before meanwhile. */
  deleteSlices(bounds: RangeBounds, wantsPrevious = false): DeleteCursor {
    return new DeleteCursor(this, bounds, wantsPrevious);
  }

  /** A copy of the live version of a key, own changes included; undefined when it does not exist. */
  get(key: ByteString): StoredKeyValue | undefined {
    return this.view.find(key, this.currentRevision) ? this.view.copyOfRow() : undefined;
  }

  /** Revisions, version and lease of a key, own changes included, without its value; undefined when it does not exist. */
  head(key: ByteString): KeyMetadata | undefined {
    return this.view.metadata(key, this.currentRevision);
  }

  /** @throws ProtocolError `Compacted`, `FutureRev` */
  range(query: RangeQuery): RangeResult {
    return this.store.rangeAt(this, query);
  }

  /** Ends the transaction. The revision goes up by one if anything changed, and stays else. */
  end(): ChangeSet {
    assert(this.isOpen, 'a transaction ends once');
    this.isOpen = false;
    this.onLeaseChange = undefined;
    if (this.nextSub > 0) this.store.commit(this.revision);
    const { changes, isComplete } = this;
    return { revision: this.store.state.currentRevision, count: this.nextSub, changes, isComplete };
  }

  /** Loads the key's head and roots, and the link to the version they name. @returns false when there is no row. */
  private loadHead(key: ByteString): boolean {
    const { newest: head, roots, links } = this;
    const row = this.backend.get('head', key);
    if (row === undefined) {
      roots.clear();
      links.prevMain = 0;
      links.prevSub = 0;
      return false;
    }
    decodeHead(row, head, roots);
    links.prevMain = head.mod;
    links.prevSub = head.sub;
    return true;
  }

  /** Writes the log row and the head row of the change that `newest` and `links` describe. */
  private write(key: ByteString, value: Uint8Array, previousLease: bigint): void {
    const { newest: head, roots, links, revision, arena } = this;
    const sub = this.nextSub++;
    roots.push(revision, sub, this.compactRevision);
    const jumps = roots.ranks[0] > 0 && roots.length > 1;
    links.jumpMain = jumps ? roots.mains[1] : 0;
    links.jumpSub = jumps ? roots.subs[1] : 0;
    head.mod = revision;
    head.sub = sub;
    const { create, version, lease } = head;
    const mod = head.tombstone ? 0 : revision;
    if (!this.isComplete) arena.reset();
    arena.reserve(logRowPrefixSize(links, revision) + keyValueSize(key, create, mod, version, value, lease));
    const { buffer, at: start } = arena;
    const kvStart = writeLogRowPrefix(buffer, start, links, revision);
    const end = writeKeyValue(buffer, kvStart, key, create, mod, version, value, lease);
    arena.at = end;
    const row = arena.view(start, end);
    sealLogRow(row, arena.view(start + LOG_ROW_PREFIX_BYTES, end), revision, sub);
    this.backend.appendLog(revision, sub, row);
    this.writeHead(key);
    if (previousLease !== lease) this.onLeaseChange?.(key, previousLease, lease);
    this.list(key, sub, previousLease, kvStart, end);
  }

  private writeHead(key: ByteString): void {
    const { newest, roots, headRow } = this;
    const end = writeHead(headRow.buffer, 0, newest, roots);
    assert(end <= HEAD_ROW_BYTES_MAX, 'a head row has a bounded length');
    this.backend.put('head', key, headRow.row(end));
  }

  private list(key: ByteString, sub: number, previousLease: bigint, start: number, end: number): void {
    if (!this.isComplete) return;
    if (sub >= CHANGES_LISTED_MAX) {
      this.isComplete = false;
      this.changes = [];
      return;
    }
    const { newest: head, links, arena } = this;
    this.changes.push(
      new Change(
        key,
        sub,
        head.tombstone,
        links.created,
        head.lease,
        previousLease,
        links.prevMain,
        links.prevSub,
        arena.buffer,
        start,
        end,
      ),
    );
  }
}
