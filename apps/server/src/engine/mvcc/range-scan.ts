import { ProtocolError } from '@conclave/protocol';
import { type Backend, type ByteString, type ScanOptions } from '../backend/backend.js';
import { assert } from '../platform/assert.js';
import { decodeHead, Head } from './head-row.js';
import { keyValueWithoutValue, StoredKeyValue } from './key-value.js';
import { KvBlock } from './kv-block.js';
import { isEmptyRange } from './range-bounds.js';
import { type RangeQuery, type RangeResult, SortOrder, SortTarget } from './range-query.js';
import { type Candidate, CandidateSort } from './range-sort.js';
import { type ReadView } from './read-view.js';
import { VersionRoots } from './version-chain.js';

/** What a scan needs to know of its store while it runs. */
export interface RangeSource {
  readonly backend: Backend;
  readonly view: ReadView;
  readonly currentRevision: number;
  readonly compactRevision: number;
}

/** Head rows that one pass over the backend takes at most: what is found between two passes is held as objects. */
const BATCH_ROWS = 512;
/** Bytes copied weigh as much as one row. */
const BYTES_PER_ROW = 4096;

const ASCENDING: ScanOptions = {};
const DESCENDING: ScanOptions = { reverse: true };

/**
 * One Range over many keys, in slices, at a revision that is fixed when it is made. Writes, flushes and compactions may
 * go on between slices; it ends with `Compacted` when its revision is compacted away meanwhile.
 *
 * The head rows are visited in key order. What the query selects is decided with the metadata in them, so values are
 * read only for what is answered (and for sorting by value).
 *
 * Invariants: `revision` <= the store's current revision. Everything before `cursor` (in scan direction) was counted,
 * unless the query is `uncounted` and the limit has cut.
 */
export class RangeScan {
  private readonly block = new KvBlock();
  private readonly head = new Head();
  private readonly roots = new VersionRoots();
  private readonly batch: Candidate[] = [];
  private readonly sort: CandidateSort | undefined;
  private readonly descends: boolean;
  private readonly isFiltered: boolean;
  /** How many more matches may be taken while scanning. */
  private room: number;
  private from: ByteString;
  private to: ByteString | undefined;
  private isScanned: boolean;
  private count = 0;
  private more = false;
  private isCut = false;
  /** The next of `sort`'s results to be fetched. */
  private fetched = 0;

  /** @param revision The revision to read at, already checked against the store. */
  constructor(
    private readonly source: RangeSource,
    private readonly query: RangeQuery,
    private readonly revision: number,
  ) {
    const { bounds, sortOrder = SortOrder.None, sortTarget = SortTarget.Key, limit = 0 } = query;
    this.from = bounds.from;
    this.to = bounds.to;
    this.isScanned = isEmptyRange(bounds);
    this.isFiltered =
      (query.minMod ?? 0) !== 0 ||
      (query.maxMod ?? 0) !== 0 ||
      (query.minCreate ?? 0) !== 0 ||
      (query.maxCreate ?? 0) !== 0;
    this.descends = sortTarget === SortTarget.Key && sortOrder === SortOrder.Descend;
    const limited = limit > 0 ? limit : Number.POSITIVE_INFINITY;
    if (sortTarget === SortTarget.Key) {
      this.sort = undefined;
      this.room = limited;
    } else {
      // Without an order the limit applies in key order, before the sort: etcd fetches limit + 1 and sorts those.
      const isPrecut = sortOrder === SortOrder.None && !this.isFiltered;
      this.room = isPrecut ? limited + 1 : Number.POSITIVE_INFINITY;
      this.sort = new CandidateSort(sortTarget, sortOrder === SortOrder.Descend, limited);
    }
  }

  /**
   * Works on at most about `rows` rows.
   * @returns The result, or undefined when there is more to do.
   * @throws ProtocolError `Compacted` when the revision was compacted meanwhile. @throws CorruptionError
   */
  step(rows: number): RangeResult | undefined {
    assert(rows > 0, 'a slice has at least one row');
    if (this.revision < this.source.compactRevision) throw ProtocolError.of('Compacted');
    let left = rows;
    while (!this.isScanned) {
      if (left <= 0) return undefined;
      left -= this.scanBatch(Math.min(left, BATCH_ROWS));
    }
    if (this.sort !== undefined && !this.query.countOnly) {
      for (;;) {
        if (left <= 0) return undefined;
        if (this.sort.isSorted) break;
        left -= this.sort.step(left);
      }
      while (this.fetched < this.sort.result.length) {
        if (left <= 0) return undefined;
        left -= this.fetch(this.sort.result[this.fetched++]);
      }
      this.more = this.sort.wasCut;
    }
    return this.finish();
  }

  private finish(): RangeResult {
    const { block } = this;
    return new ScannedRange(block, this.count, this.more, this.source.currentRevision);
  }

  /** Visits some head rows, then reads what they lead to. Returns the work done, in rows. */
  private scanBatch(rows: number): number {
    const { batch, source } = this;
    let visited = 0;
    let lastKey: ByteString = '';
    batch.length = 0;
    const options = this.descends ? DESCENDING : ASCENDING;
    source.backend.scan('head', this.from, this.to, options, (key, row) => {
      this.visitHead(key, row);
      lastKey = key;
      return ++visited < rows;
    });
    if (visited < rows) this.isScanned = true;
    else if (this.descends) this.to = lastKey;
    else this.from = `${lastKey}\0`;
    const before = this.block.byteLength;
    let reads = 0;
    for (const candidate of batch) reads += this.settle(candidate);
    return visited + reads + Math.floor((this.block.byteLength - before) / BYTES_PER_ROW);
  }

  private visitHead(key: ByteString, row: Uint8Array): void {
    const { head } = this;
    decodeHead(row, head);
    if (head.mod <= this.revision) {
      if (head.tombstone) return;
      if (this.isCut || this.query.countOnly === true) this.count++;
      else this.batch.push(candidateOf(key, head));
      return;
    }
    decodeHead(row, head, this.roots);
    const start = this.roots.searchStart(this.revision);
    if (start < 0) return;
    const { mains, subs } = this.roots;
    this.batch.push({
      key,
      mod: mains[start],
      sub: subs[start],
      create: 0,
      version: 0,
      lease: 0n,
      isNewer: true,
    });
  }

  /** Counts a candidate, and answers it if the query selects it. Returns the rows read. */
  private settle(candidate: Candidate): number {
    let reads = 0;
    if (candidate.isNewer) {
      reads++;
      if (!this.resolve(candidate)) return reads;
    }
    this.count++;
    if (this.query.countOnly === true || this.isCut || !this.selects(candidate)) return reads;
    if (this.room === 0) {
      this.isCut = true;
      this.more = true;
      if (this.query.uncounted === true) this.isScanned = true;
      return reads;
    }
    this.room--;
    if (this.sort === undefined) return reads + this.fetch(candidate);
    if (this.sort.target === SortTarget.Value) {
      this.source.view.read(candidate.mod, candidate.sub);
      candidate.kv = this.source.view.copyOfRow();
      reads++;
    }
    this.sort.add(candidate);
    // Precut by the limit: nothing further is taken.
    if (this.room === 0) this.isCut = true;
    return reads;
  }

  /** Turns a version that is newer than the revision into the one at the revision. */
  private resolve(candidate: Candidate): boolean {
    const { view } = this.source;
    if (!view.findOlder(candidate.mod, candidate.sub, this.revision)) return false;
    const { row } = view;
    const kv = new StoredKeyValue(row.bytes, row.keyValueStart, row.keyValueEnd);
    candidate.mod = kv.mod;
    candidate.sub = row.sub;
    candidate.create = kv.create;
    candidate.version = kv.version;
    candidate.lease = kv.lease;
    candidate.isNewer = false;
    return true;
  }

  private selects(candidate: Candidate): boolean {
    if (!this.isFiltered) return true;
    const { minMod = 0, maxMod = 0, minCreate = 0, maxCreate = 0 } = this.query;
    if (maxMod !== 0 && candidate.mod > maxMod) return false;
    if (minMod !== 0 && candidate.mod < minMod) return false;
    if (maxCreate !== 0 && candidate.create > maxCreate) return false;
    return minCreate === 0 || candidate.create >= minCreate;
  }

  /** Copies a candidate's KeyValue into the answer. Returns the rows read. */
  private fetch(candidate: Candidate): number {
    if (this.query.keysOnly === true) {
      const { key, create, mod, version, lease } = candidate;
      const bytes = keyValueWithoutValue(key, create, mod, version, lease);
      this.block.append(bytes, 0, bytes.length);
      return 0;
    }
    const { view } = this.source;
    view.read(candidate.mod, candidate.sub);
    this.block.append(view.row.bytes, view.row.keyValueStart, view.row.keyValueEnd);
    return 1;
  }
}

function candidateOf(key: ByteString, head: Head): Candidate {
  const { mod, sub, create, version, lease } = head;
  return { key, mod, sub, create, version, lease, isNewer: false };
}

/** The result of a range; its entries become objects only when asked for. */
export class ScannedRange implements RangeResult {
  private entries: readonly StoredKeyValue[] | undefined;

  constructor(
    private readonly block: KvBlock,
    readonly count: number,
    readonly more: boolean,
    readonly revision: number,
  ) {}

  get kvs(): readonly StoredKeyValue[] {
    this.entries ??= this.block.entries();
    return this.entries;
  }

  get encodedKvs(): Uint8Array {
    return this.block.encoded;
  }

  get length(): number {
    return this.block.length;
  }
}
