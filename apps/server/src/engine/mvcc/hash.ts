import { Buffer } from 'node:buffer';
import { ProtocolError } from '@conclave/protocol';
import { assert } from '../platform/assert.js';
import { crc32c } from '../platform/table-crc.js';
import { Head, decodeHead } from './head-row.js';
import { keyOfKeyValue } from './key-value.js';
import { decodeLogRow, LogRow } from './log-row.js';
import { type RangeSource } from './range-scan.js';
import { VersionRoots } from './version-chain.js';

/** The answer to HashKV. */
export interface HashResult {
  readonly hash: number;
  /** The compact revision that the hash was computed with; -1 before the first compaction. */
  readonly compactRevision: number;
  /** The revision up to which changes are covered. */
  readonly hashRevision: number;
}

/** A row up to the compact revision, whose key's version at the hash revision has to be looked up. */
interface OldRow {
  readonly main: number;
  readonly sub: number;
  /** What etcd stores under the row's key and value. */
  readonly bytes: Buffer;
  readonly key: string;
}

const BUCKET_NAME = Buffer.from('key', 'latin1');
const BATCH_ROWS = 512;
/** A batch ends here at the latest, so that long values do not make it long. */
const BATCH_BYTES = 512 * 1024;
const UNDERSCORE = 0x5f;
const TOMBSTONE_MARK = 0x74;
const REVISION_BYTES = 17;

/**
 * etcd's HashKV, in slices: CRC-32C over the name of etcd's bucket, then over key and value of each revision up to the
 * requested one, as etcd stores them (key: main u64 `_` sub u64, and `t` for a tombstone; value: the KeyValue).
 *
 * Left out are revisions up to the compact revision C that a compaction at the requested revision would drop, and
 * tombstones up to C. So the hash depends only on the replicated state, not on how far a member's compaction has come.
 * When no key is alive at the requested revision etcd leaves nothing out; there we take what a finished compaction to
 * C leaves, which is the same without depending on its progress.
 *
 * A compaction set meanwhile starts the work again, because what is left out changes with it.
 */
export class HashScan {
  private compactRevision: number;
  private main = 0;
  private sub = 0;
  private isDone = false;
  private hash = 0;
  /** The hash if no key turns out to be alive at the revision. */
  private hashIfEmpty = 0;
  private isAnyAlive = false;
  private readonly row = new LogRow();
  private readonly head = new Head();
  private readonly roots = new VersionRoots();
  private readonly revisionKey = Buffer.alloc(REVISION_BYTES + 1);

  constructor(
    private readonly source: RangeSource,
    private readonly revision: number,
  ) {
    this.compactRevision = source.compactRevision;
    this.restart();
  }

  /**
   * Looks at about `rows` rows, in batches of 512 rows or half a megabyte each.
   * @returns The result, or undefined when there is more to do.
   * @throws ProtocolError `Compacted` when the revision was compacted meanwhile. @throws CorruptionError
   */
  step(rows: number): HashResult | undefined {
    assert(rows > 0, 'a slice has at least one row');
    if (this.source.compactRevision !== this.compactRevision) this.restart();
    for (let left = rows; !this.isDone; left -= BATCH_ROWS) {
      if (left <= 0) return undefined;
      this.hashBatch(Math.min(left, BATCH_ROWS));
    }
    const hash = this.isAnyAlive ? this.hash : this.hashIfEmpty;
    return { hash, compactRevision: this.compactRevision, hashRevision: this.revision };
  }

  private restart(): void {
    this.compactRevision = this.source.compactRevision;
    if (this.revision < this.compactRevision) throw ProtocolError.of('Compacted');
    this.main = 0;
    this.sub = 0;
    this.isDone = false;
    this.isAnyAlive = false;
    this.hash = crc32c(0, BUCKET_NAME);
    this.hashIfEmpty = this.hash;
  }

  private hashBatch(rows: number): void {
    const old: OldRow[] = [];
    let visited = 0;
    let bytesLeft = BATCH_BYTES;
    let hasMore = false;
    const from = { main: this.main, sub: this.sub };
    // A batch ends at the compact revision: what waits in `old` is hashed before everything above it.
    const isOldPart = this.main <= this.compactRevision;
    const end = isOldPart ? this.compactRevision + 1 : this.revision + 1;
    this.source.backend.scanLog(from, { main: end, sub: 0 }, (main, sub, bytes) => {
      if (visited === rows || bytesLeft <= 0) {
        this.main = main;
        this.sub = sub;
        hasMore = true;
        return false;
      }
      visited++;
      bytesLeft -= bytes.length;
      decodeLogRow(bytes, main, sub, this.row);
      this.visit(old);
      return true;
    });
    if (!hasMore) {
      this.main = end;
      this.sub = 0;
      this.isDone = end > this.revision;
    }
    for (const row of old) this.settle(row);
  }

  /** Rows above C are hashed at once; rows up to C come before them, and wait until their key was looked up. */
  private visit(old: OldRow[]): void {
    const { row } = this;
    const { main, sub, bytes, keyValueStart: start, keyValueEnd: end } = row;
    const isOld = main <= this.compactRevision;
    if (isOld && row.tombstone) return;
    if (isOld || (!this.isAnyAlive && !row.tombstone)) {
      const copy = isOld ? Buffer.from(bytes.subarray(start, end)) : Buffer.alloc(0);
      old.push({ main, sub, bytes: copy, key: keyOfKeyValue(bytes, start, end) });
    }
    if (!isOld) this.add(main, sub, row.tombstone, bytes, start, end);
  }

  private settle({ main, sub, bytes, key }: OldRow): void {
    const isNewest = this.isVersionAt(key, main, sub, this.revision);
    if (isNewest) this.isAnyAlive = true;
    if (main > this.compactRevision) return;
    if (isNewest) this.add(main, sub, false, bytes, 0, bytes.length);
    else if (!this.isAnyAlive && this.isVersionAt(key, main, sub, this.compactRevision)) {
      this.hashIfEmpty = this.addTo(this.hashIfEmpty, main, sub, false, bytes, 0, bytes.length);
    }
  }

  /** Whether (main, sub) is the live version of `key` at `revision`. */
  private isVersionAt(key: string, main: number, sub: number, revision: number): boolean {
    const { backend, view } = this.source;
    const { head, roots } = this;
    const stored = backend.get('head', key);
    if (stored === undefined) return false;
    decodeHead(stored, head, roots);
    if (head.mod <= revision) return head.mod === main && head.sub === sub;
    const start = roots.searchStart(revision);
    if (start < 0 || !view.findOlder(roots.mains[start], roots.subs[start], revision)) return false;
    return view.row.main === main && view.row.sub === sub;
  }

  private add(
    main: number,
    sub: number,
    tombstone: boolean,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.hash = this.addTo(this.hash, main, sub, tombstone, bytes, start, end);
    if (!this.isAnyAlive)
      this.hashIfEmpty = this.addTo(this.hashIfEmpty, main, sub, tombstone, bytes, start, end);
  }

  private addTo(
    hash: number,
    main: number,
    sub: number,
    tombstone: boolean,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): number {
    const { revisionKey } = this;
    revisionKey.writeUInt32BE(Math.floor(main / 0x1_0000_0000), 0);
    revisionKey.writeUInt32BE(main >>> 0, 4);
    revisionKey[8] = UNDERSCORE;
    revisionKey.writeUInt32BE(0, 9);
    revisionKey.writeUInt32BE(sub, 13);
    revisionKey[REVISION_BYTES] = TOMBSTONE_MARK;
    const withKey = crc32c(hash, revisionKey, 0, tombstone ? REVISION_BYTES + 1 : REVISION_BYTES);
    return crc32c(withKey, bytes, start, end);
  }
}
