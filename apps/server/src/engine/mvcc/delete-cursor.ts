import { type ByteString } from '../backend/backend.js';
import { decodeHead, Head } from './head-row.js';
import { type StoredKeyValue } from './key-value.js';
import { KvBlock } from './kv-block.js';
import { isEmptyRange, type RangeBounds } from './range-bounds.js';
import { type WriteTxn } from './write-txn.js';

/** What a delete did. */
export interface DeleteResult {
  /** Keys deleted. */
  readonly deleted: number;
  /** The versions deleted, in key order; empty unless asked for. They own their bytes. */
  readonly previous: readonly StoredKeyValue[];
}

const BATCH_ROWS = 512;

/** Deletes a range of keys within a write transaction, in slices. */
export class DeleteCursor implements DeleteResult {
  deleted = 0;
  private readonly block: KvBlock | undefined;
  private readonly head = new Head();
  private readonly keys: ByteString[] = [];
  private from: ByteString;
  private isDone: boolean;

  constructor(
    private readonly txn: WriteTxn,
    private readonly bounds: RangeBounds,
    wantsPrevious: boolean,
  ) {
    this.from = bounds.from;
    this.isDone = isEmptyRange(bounds);
    this.block = wantsPrevious ? new KvBlock() : undefined;
  }

  get previous(): readonly StoredKeyValue[] {
    return this.block?.entries() ?? [];
  }

  /** Deletes among the next `rows` keys. @returns true when the whole range is done. */
  step(rows: number): boolean {
    let left = rows;
    if (this.bounds.single && !this.isDone) {
      this.isDone = true;
      this.deleteKey(this.bounds.from);
    }
    while (!this.isDone && left > 0) {
      const batch = Math.min(left, BATCH_ROWS);
      left -= batch;
      this.deleteBatch(batch);
    }
    return this.isDone;
  }

  private deleteBatch(rows: number): void {
    const { keys, head, txn } = this;
    let visited = 0;
    let lastKey: ByteString = '';
    keys.length = 0;
    txn.backend.scan('head', this.from, this.bounds.to, {}, (key, row) => {
      decodeHead(row, head);
      if (!head.tombstone) keys.push(key);
      lastKey = key;
      return ++visited < rows;
    });
    if (visited < rows) this.isDone = true;
    else this.from = `${lastKey}\0`;
    for (const key of keys) this.deleteKey(key);
  }

  /** Deletes the key, if it is there. */
  private deleteKey(key: ByteString): void {
    const { txn, block } = this;
    if (block !== undefined && txn.view.find(key, txn.currentRevision)) {
      const { row } = txn.view;
      block.append(row.bytes, row.keyValueStart, row.keyValueEnd);
    }
    if (txn.delete(key)) this.deleted++;
  }
}
