import { Buffer } from 'node:buffer';
import { type Backend, type ByteString } from '../backend/backend.js';
import { assert } from '../platform/assert.js';
import { decodeHead, Head } from './head-row.js';
import { StoredKeyValue } from './key-value.js';
import { decodeLogRow, LogRow } from './log-row.js';
import { type KeyMetadata } from './range-query.js';
import { CorruptionError } from './storage-errors.js';
import { VersionRoots } from './version-chain.js';

/**
 * Finds versions of keys. It holds scratch objects only, so one instance serves all readers of a store.
 *
 * Revisions given must be at least the compact revision: the version that was current there still exists.
 */
export class ReadView {
  /** The row that the last successful search or read found; valid until the next call into the backend. */
  readonly row = new LogRow();
  private readonly head = new Head();
  private readonly roots = new VersionRoots();

  constructor(private readonly backend: Backend) {}

  /** Finds the live version of `key` at `revision` into `row`; false: the key did not exist then. */
  find(key: ByteString, revision: number): boolean {
    const stored = this.backend.get('head', key);
    if (stored === undefined) return false;
    const { head, roots } = this;
    decodeHead(stored, head, roots);
    if (head.mod <= revision) {
      if (head.tombstone) return false;
      this.read(head.mod, head.sub);
      return true;
    }
    const start = roots.searchStart(revision);
    return start >= 0 && this.findOlder(roots.mains[start], roots.subs[start], revision);
  }

  /** What `find` finds, without its value: the row is read only when the key was written after `revision`. */
  metadata(key: ByteString, revision: number): KeyMetadata | undefined {
    const { head, row } = this;
    const stored = this.backend.get('head', key);
    if (stored === undefined) return undefined;
    decodeHead(stored, head);
    if (head.mod <= revision) {
      const { create, mod, version, lease } = head;
      return head.tombstone ? undefined : { key, create, mod, version, lease };
    }
    if (!this.find(key, revision)) return undefined;
    const kv = new StoredKeyValue(row.bytes, row.keyValueStart, row.keyValueEnd);
    return { key, create: kv.create, mod: kv.mod, version: kv.version, lease: kv.lease };
  }

  /**
   * Follows the links from a version newer than `revision` to the live version at it, into `row`.
   * @returns false when the key did not exist at that revision.
   */
  findOlder(fromMain: number, fromSub: number, revision: number): boolean {
    const { row } = this;
    let main = fromMain;
    let sub = fromSub;
    for (;;) {
      assert(main > revision, 'the search goes through versions newer than the revision');
      this.read(main, sub);
      if (row.jumpMain > revision) {
        main = row.jumpMain;
        sub = row.jumpSub;
      } else if (row.prevMain > revision) {
        main = row.prevMain;
        sub = row.prevSub;
      } else {
        // What a creating version follows is a tombstone, perhaps compacted away, or nothing.
        if (row.prevMain === 0 || row.created) return false;
        this.read(row.prevMain, row.prevSub);
        return true;
      }
    }
  }

  /**
   * Finds into `row` the live version of a key just before revision `main`, for a change of that revision. It differs
   * from the version that the change replaced only when the transaction changed the key twice.
   * @param created The change brought the key into being. @param prevMain Position of what it replaced; 0: nothing.
   * @returns false when the key did not exist before that revision.
   */
  findBefore(main: number, created: boolean, prevMain: number, prevSub: number): boolean {
    const { row } = this;
    if (prevMain === 0 || (created && prevMain < main)) return false;
    this.read(prevMain, prevSub);
    while (row.main === main) {
      if (row.prevMain === 0 || (row.created && row.prevMain < main)) return false;
      this.read(row.prevMain, row.prevSub);
    }
    return !row.tombstone;
  }

  /** Reads a row that must exist into `row`. @throws CorruptionError when it does not, or is damaged. */
  read(main: number, sub: number): void {
    const stored = this.backend.getLog(main, sub);
    if (stored === undefined) throw new CorruptionError(`log row ${main}/${sub} is missing`);
    decodeLogRow(stored, main, sub, this.row);
  }

  /** A copy of the KeyValue in `row`. */
  copyOfRow(): StoredKeyValue {
    const { row } = this;
    const bytes = Buffer.from(row.bytes.subarray(row.keyValueStart, row.keyValueEnd));
    return new StoredKeyValue(bytes, 0, bytes.length);
  }
}
