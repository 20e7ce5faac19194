import { Buffer } from 'node:buffer';
import { FieldReader, MalformedFieldError } from '../platform/fields.js';
import { corruptState } from '../snapshot/snapshot-error.js';
import { type ByteString, type Table } from './backend.js';
import { TABLES } from './schema.js';
import { SortedMap } from './sorted-map.js';

/** All rows of a memory backend. */
export interface MemoryState {
  readonly tables: Readonly<Record<Table, SortedMap<Uint8Array>>>;
  /** By `encodeLogKey`. */
  readonly log: SortedMap<Uint8Array>;
}

/** What one change replaced. `table` is undefined for the log. */
export interface Undo {
  readonly table: Table | undefined;
  readonly key: ByteString;
  readonly before: Uint8Array | undefined;
}

export function emptyState(): MemoryState {
  return {
    tables: {
      head: new SortedMap(),
      lease: new SortedMap(),
      leaseKey: new SortedMap(),
      meta: new SortedMap(),
    },
    log: new SortedMap(),
  };
}

export function rowsOf(state: MemoryState, table: Table | undefined): SortedMap<Uint8Array> {
  return table === undefined ? state.log : state.tables[table];
}

/** Bytes of a row; none when there is none. */
export function rowBytes(key: ByteString, row: Uint8Array | undefined): number {
  return row === undefined ? 0 : key.length + row.length;
}

const LOG = TABLES.length;
const HEADER_BYTES = 12;

/**
 * The content of a state file of kind `rows`: for each row u32 table (0 to 3, see TABLES; 4 is the log), u32 length of the
 * key, u32 length of the value, key, value. Numbers are little-endian.
 *
 * @param undo What led from the state that is written to `state`, in order; it is left out.
 */
export function encodeRows(state: MemoryState, undo: readonly Undo[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const table of [...TABLES, undefined]) {
    const before = new Map<ByteString, Uint8Array | undefined>();
    for (const change of undo) {
      if (change.table === table && !before.has(change.key)) before.set(change.key, change.before);
    }
    const number = table === undefined ? LOG : TABLES.indexOf(table);
    const cursor = rowsOf(state, table).cursor('', undefined, false);
    while (cursor.next()) {
      if (!before.has(cursor.key)) parts.push(...encodeRow(number, cursor.key, cursor.value));
    }
    for (const [key, row] of before) parts.push(...encodeRow(number, key, row));
  }
  return Buffer.concat(parts);
}

function encodeRow(table: number, key: ByteString, row: Uint8Array | undefined): Uint8Array[] {
  if (row === undefined) return [];
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(table, 0);
  header.writeUInt32LE(key.length, 4);
  header.writeUInt32LE(row.length, 8);
  return [header, Buffer.from(key, 'latin1'), row];
}

/** The state that {@link encodeRows} wrote, and the bytes of its rows. @throws SnapshotError */
export function decodeRows(content: Uint8Array, path: string): { state: MemoryState; usedBytes: number } {
  const state = emptyState();
  const fields = new FieldReader(content);
  let usedBytes = 0;
  try {
    while (fields.remaining > 0) {
      const number = fields.count(LOG);
      const keyBytes = fields.uint32();
      const valueBytes = fields.uint32();
      const key = Buffer.from(fields.data(keyBytes)).toString('latin1');
      const table = number === LOG ? undefined : TABLES[number];
      rowsOf(state, table).set(key, fields.data(valueBytes).slice());
      usedBytes += keyBytes + valueBytes;
    }
  } catch (error) {
    if (error instanceof MalformedFieldError) throw corruptState(path, error.message);
    throw error;
  }
  return { state, usedBytes };
}
