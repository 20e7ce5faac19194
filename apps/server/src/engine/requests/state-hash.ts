import { Buffer } from 'node:buffer';
import type { Backend, Table } from '../backend/backend.js';
import { crc32c } from '../platform/table-crc.js';
import type { HashScan } from '../mvcc/hash.js';
import type { MvccStore } from '../mvcc/mvcc-store.js';

/** Replicated rows beside the history, in the order in which they are taken in. */
const tables: readonly Table[] = ['lease', 'leaseKey'];

/**
 * Maintenance.Hash, in slices: CRC-32C over the hash of the history at the revision at which it begins, then over keys
 * and values of the leases and of what hangs on them. It is equal on members that have applied the same entries, whatever
 * their files look like. As with etcd it is for a store at rest: leases may change between two slices.
 */
export class StateHash {
  private readonly history: HashScan;
  private readonly backend: Backend;
  private hash = 0;
  private isHistoryDone = false;
  private table = 0;
  private from = '';

  constructor(store: MvccStore) {
    this.history = store.hashSlices(0);
    this.backend = store.backend;
  }

  /** Looks at about `rows` rows; gives the hash when there is nothing more to do. @throws CorruptionError */
  step(rows: number): number | undefined {
    if (!this.isHistoryDone) {
      const result = this.history.step(rows);
      if (result === undefined) return undefined;
      this.isHistoryDone = true;
      this.hash = result.hash;
    } else {
      this.scanTable(rows);
    }
    return this.table === tables.length ? this.hash : undefined;
  }

  private scanTable(rows: number): void {
    let visited = 0;
    this.backend.scan(tables[this.table], this.from, undefined, {}, (key, value) => {
      if (visited++ === rows) {
        this.from = key;
        return false;
      }
      this.hash = crc32c(crc32c(this.hash, Buffer.from(key, 'latin1')), value);
      return true;
    });
    if (visited > rows) return;
    this.table++;
    this.from = '';
  }
}
