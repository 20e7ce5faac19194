import { type ByteString } from '../backend/backend.js';
import { keyOfKeyValue } from '../mvcc/key-value.js';
import { type LogRow } from '../mvcc/log-row.js';
import { type Change } from '../mvcc/mvcc-store.js';

/**
 * A change as it is matched with watchers, from a transaction that just ended or from the log. One instance is pointed
 * at many, so that matching allocates nothing. `bytes[start, end)` is the stored KeyValue.
 */
export class ChangeBytes {
  key: ByteString = '';
  main = 0;
  tombstone = false;
  created = false;
  prevMain = 0;
  prevSub = 0;
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;

  ofRow(row: LogRow): this {
    this.bytes = row.bytes;
    this.start = row.keyValueStart;
    this.end = row.keyValueEnd;
    this.key = keyOfKeyValue(row.bytes, row.keyValueStart, row.keyValueEnd);
    this.main = row.main;
    this.tombstone = row.tombstone;
    this.created = row.created;
    this.prevMain = row.prevMain;
    this.prevSub = row.prevSub;
    return this;
  }

  ofChange(change: Change, revision: number): this {
    this.bytes = change.buffer;
    this.start = change.keyValueStart;
    this.end = change.keyValueEnd;
    this.key = change.key;
    this.main = revision;
    this.tombstone = change.tombstone;
    this.created = change.created;
    this.prevMain = change.prevMain;
    this.prevSub = change.prevSub;
    return this;
  }
}
