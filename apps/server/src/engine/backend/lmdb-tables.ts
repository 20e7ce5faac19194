import {
  type Database,
  open,
  type RootDatabase,
  type RootDatabaseOptionsWithPath,
  type Transaction,
} from 'lmdb';
import { type ByteString } from './backend.js';
import { asBackendError } from './lmdb-error.js';
import { TABLES } from './schema.js';

/** What lmdb's types leave out: reads at a snapshot. */
interface SnapshotReads<K> {
  getBinaryFast(key: K, options?: { readonly transaction: Snapshot }): Uint8Array | undefined;
}

/** A database of the file, by byte strings. */
export type Rows = Database<Uint8Array, ByteString> & SnapshotReads<ByteString>;
/** The log, by [main, sub]. Keys that a scan gives are valid until its next row. */
export type LogRows = Database<Uint8Array, number[]> & SnapshotReads<number[]>;
/** A fixed view of the file. */
export type Snapshot = Transaction;

/** The parts of lmdb's key buffers that are used here. */
interface KeyBuffer {
  readonly length: number;
  [index: number]: number;
  write(key: string, at: number, encoding: 'latin1'): number;
  toString(encoding: 'latin1', start: number, end: number): string;
}

/** Byte strings as keys. After a RangeError lmdb asks again with more room. */
const byteStringKeys = {
  writeKey(key: ByteString, target: KeyBuffer, start: number): number {
    if (start + key.length > target.length) throw new RangeError('the key does not fit');
    target.write(key, start, 'latin1');
    return start + key.length;
  },
  readKey(source: KeyBuffer, start: number, end: number): ByteString {
    return source.toString('latin1', start, end);
  },
};

const LOG_KEY_BYTES = 12;
const positionRead = [0, 0];

/** Positions as log keys: main u64 big endian, sub u32 big endian. */
const positionKeys = {
  writeKey(position: readonly number[], target: KeyBuffer, start: number): number {
    if (start + LOG_KEY_BYTES > target.length) throw new RangeError('the key does not fit');
    writeUint32(target, start, Math.floor(position[0] / 0x1_0000_0000));
    writeUint32(target, start + 4, position[0]);
    writeUint32(target, start + 8, position[1]);
    return start + LOG_KEY_BYTES;
  },
  readKey(source: KeyBuffer, start: number): number[] {
    positionRead[0] = readUint32(source, start) * 0x1_0000_0000 + readUint32(source, start + 4);
    positionRead[1] = readUint32(source, start + 8);
    return positionRead;
  },
};

function writeUint32(target: KeyBuffer, at: number, value: number): void {
  target[at] = value >>> 24;
  target[at + 1] = (value >>> 16) & 255;
  target[at + 2] = (value >>> 8) & 255;
  target[at + 3] = value & 255;
}

function readUint32(source: KeyBuffer, at: number): number {
  return ((source[at] << 24) | (source[at + 1] << 16) | (source[at + 2] << 8) | source[at + 3]) >>> 0;
}

/** Values are bytes, or placed bytes. What is read is a view of lmdb's buffer, valid until the next call. */
const byteValues = { encode: (value: Uint8Array): Uint8Array => value, decode: viewOf };

/** lmdb sets `length` of its one buffer for each value, which no method of a typed array honours: hence a view. */
export function viewOf(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

/**
 * A value on its way to lmdb: the bytes between `start` and `end` of `buffer`, the form in which lmdb's own encoders
 * give values. One serves for many rows, where a view of each would cost as much as writing it.
 */
export class PlacedBytes {
  start = 0;
  end = 0;
  /** lmdb keeps the address of `buffer` here. */
  address = 0;

  constructor(readonly buffer: ArrayBuffer) {}

  asValue(): Uint8Array {
    return this as unknown as Uint8Array;
  }
}

export interface LmdbOptions {
  readonly path: string;
  /** Address space that is reserved for the file. It costs nothing until it is used; beyond it the map grows. */
  readonly mapBytes: number;
}

/** The databases of the file. */
export interface LmdbTables {
  readonly root: RootDatabase;
  /** In the order of TABLES; all keys but the odd ones. */
  readonly tables: readonly Rows[];
  readonly log: LogRows;
  /** Shared rows of keys that are too long, or empty. */
  readonly odd: Rows;
  /** Format of the file and applied mark. */
  readonly state: Rows;
}

/**
 * The one place that opens LMDB. Every thread opens the file for itself; they share the map.
 *
 * - `overlappingSync` is off: when a transaction returns, it is durable. (With it, a commit comes before its flush,
 *   and the newest commit may be lost.) `safeRestore` trusts only what was flushed, whoever wrote the file.
 * - `useWritemap` is off. It would halve the time of a flush and save about 100 MB of page buffers, but when the disk
 *   is full, touching a mapped page kills the process with SIGBUS, while a refused write is tried again later.
 * - The map has a fixed size: a map that grows is mapped again and again, and resident memory doubles.
 *
 * @throws BackendError
 */
export function openTables(options: LmdbOptions): LmdbTables {
  const settings: RootDatabaseOptionsWithPath & { safeRestore: boolean } = {
    path: options.path,
    noSubdir: true,
    mapSize: options.mapBytes,
    maxDbs: TABLES.length + 3,
    maxReaders: 32,
    overlappingSync: false,
    safeRestore: true,
    noMemInit: true,
    encoding: 'binary',
  };
  try {
    const root = open(settings);
    const rows = (name: string): Rows => root.openDB(rowOptions(name, byteStringKeys));
    return {
      root,
      tables: TABLES.map(rows),
      log: root.openDB(rowOptions('log', positionKeys)),
      odd: rows('odd'),
      state: rows('state'),
    };
  } catch (error) {
    throw asBackendError(error, options.path);
  }
}

/** lmdb's types leave out `encoder`. */
function rowOptions(name: string, keyEncoder: object): { name: string; encoder: object; keyEncoder: object } {
  return { name, encoder: byteValues, keyEncoder };
}

/** What a flush tells about the file it left. */
export interface FileFigures {
  /** Number of rows of each table, without odd keys. */
  readonly rowCounts: readonly number[];
  /** Number of shared rows of odd keys. */
  readonly oddRows: number;
  readonly fileBytes: number;
  /** Without pages that are free to be used again. */
  readonly usedBytes: number;
}

/** The fields of lmdb's statistics that are used here. Page counts are of one tree. */
interface TreeStats {
  readonly pageSize: number;
  readonly entryCount: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

interface DatabaseStats extends TreeStats {
  readonly root: TreeStats;
  readonly free: TreeStats;
  readonly lastPageNumber: number;
}

/** Walks nothing: every figure is kept by LMDB. */
export function readFigures(tables: LmdbTables): FileFigures {
  const stats = [...tables.tables, tables.log, tables.odd, tables.state].map(
    (rows) => (rows as Rows).getStats() as unknown as DatabaseStats,
  );
  const { root, free, pageSize, lastPageNumber } = stats[0];
  const META_PAGES = 2;
  const pages = [...stats, root, free].reduce((sum, tree) => sum + pagesOf(tree), META_PAGES);
  return {
    rowCounts: stats.slice(0, TABLES.length).map((table) => table.entryCount),
    oddRows: stats[TABLES.length + 1].entryCount,
    fileBytes: (lastPageNumber + 1) * pageSize,
    usedBytes: pages * pageSize,
  };
}

function pagesOf(tree: TreeStats): number {
  return tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages;
}
