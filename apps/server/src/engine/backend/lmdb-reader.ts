import { assert } from '../platform/assert.js';
import { type AppliedMark, type ByteString, type LogPosition } from './backend.js';
import { BackendError } from './backend-error.js';
import { asBackendError, damagedFile, foreignFile } from './lmdb-error.js';
import {
  type FileFigures,
  type LmdbOptions,
  type LmdbTables,
  openTables,
  readFigures,
  type Rows,
  type Snapshot,
  viewOf,
} from './lmdb-tables.js';
import { decodeOddRow, type OddEntry } from './odd-row.js';
import { type RowSource } from './row-source.js';
import { decodeFormat, decodeMark, encodeFormat, encodeMark, FILE_FORMAT } from './schema.js';
import { isOddKey, ODD_KEY_BYTES_MIN, oddRowKey, TABLES } from './schema.js';

/**
 * Reads the file at one fixed snapshot, until `renew` moves on to the newest. Reads throw BackendError when the file
 * turns out to be damaged.
 *
 * Invariants: `snapshot` is the state right after the transaction that wrote `figures`; reads use it and no other.
 */
export class LmdbReader {
  private snapshot: Snapshot | undefined;
  /** Passed with every read; made anew with each snapshot. */
  private at: { transaction: Snapshot };
  private readonly logKey = [0, 0];
  private latest: FileFigures;

  /** @throws BackendError */
  private constructor(
    private readonly tables: LmdbTables,
    private readonly path: string,
  ) {
    this.snapshot = tables.root.useReadTransaction();
    this.at = { transaction: this.snapshot };
    this.latest = readFigures(tables);
  }

  /**
   * Opens the file and makes it when there is none.
   *
   * @throws BackendError
   */
  static open(options: LmdbOptions): LmdbReader {
    const tables = openTables(options);
    try {
      checkFormat(tables, options.path);
      return new LmdbReader(tables, options.path);
    } catch (error) {
      void tables.root.close();
      throw asBackendError(error, options.path);
    }
  }

  get figures(): FileFigures {
    return this.latest;
  }

  /** @throws BackendError when the file holds no readable mark. */
  readMark(): AppliedMark {
    const row = this.tables.state.get('applied');
    const mark = row === undefined ? undefined : decodeMark(row);
    if (mark === undefined) throw damagedFile(this.path, 'its applied index is missing or unreadable');
    return mark;
  }

  /** Moves on to the newest state of the file, which `figures` describes. */
  renew(figures: FileFigures): void {
    this.snapshot?.done();
    this.tables.root.resetReadTxn();
    this.snapshot = this.tables.root.useReadTransaction();
    this.at = { transaction: this.snapshot };
    this.latest = figures;
  }

  get(table: number, key: ByteString): Uint8Array | undefined {
    if (isOddKey(key)) return this.getOdd(table, key);
    try {
      const buffer = this.tables.tables[table].getBinaryFast(key, this.at);
      return buffer === undefined ? undefined : viewOf(buffer);
    } catch (error) {
      throw asBackendError(error, this.path);
    }
  }

  getLog(main: number, sub: number): Uint8Array | undefined {
    this.logKey[0] = main;
    this.logKey[1] = sub;
    try {
      const buffer = this.tables.log.getBinaryFast(this.logKey, this.at);
      return buffer === undefined ? undefined : viewOf(buffer);
    } catch (error) {
      throw asBackendError(error, this.path);
    }
  }

  /** The position of the newest log row. */
  lastLog(): LogPosition | undefined {
    for (const [main, sub] of this.tables.log.getKeys({ ...this.at, reverse: true, limit: 1 }))
      return { main, sub };
    return undefined;
  }

  /** The rows of a table in a range, as one or two sources. */
  sources(table: number, from: ByteString, to: ByteString | undefined, reverse: boolean): RowSource[] {
    const hasOdd = this.latest.oddRows > 0;
    const range = rangeOf(rowBound(from), rowBound(to), reverse);
    const rows = new FileSource(this.tables.tables[table], range, this.at, this.path, hasOdd);
    return hasOdd ? [rows, this.oddSource(table, from, to, reverse)] : [rows];
  }

  count(table: number, from: ByteString, to: ByteString | undefined): number {
    // No key of the database lies below "\0", since it has no empty key.
    const isWhole = to === undefined && from <= '\0';
    const rows = isWhole
      ? this.latest.rowCounts[table]
      : this.tables.tables[table].getKeysCount({ start: rowBound(from), end: rowBound(to), ...this.at });
    if (this.latest.oddRows === 0) return rows;
    let oddKeys = 0;
    const odd = this.oddSource(table, from, to, false);
    while (odd.next()) oddKeys++;
    odd.close();
    return rows + oddKeys;
  }

  /** Same rules as `BackendReader.scanLog`. Returns false when a visit did. */
  scanLog(
    from: LogPosition,
    to: LogPosition | undefined,
    visit: (main: number, sub: number, row: Uint8Array) => boolean | void,
  ): boolean {
    const range = this.tables.log.getRange({
      start: [from.main, from.sub],
      end: to === undefined ? undefined : [to.main, to.sub],
      ...this.at,
    });
    const rows = range[Symbol.iterator]();
    for (let row = step(rows, this.path); row.done !== true; row = step(rows, this.path)) {
      const [main, sub] = row.value.key;
      if (visit(main, sub, row.value.value) === false) {
        rows.return?.();
        return false;
      }
    }
    return true;
  }

  async close(): Promise<void> {
    if (this.snapshot === undefined) return;
    this.snapshot.done();
    this.snapshot = undefined;
    await this.tables.root.close();
  }

  private getOdd(table: number, key: ByteString): Uint8Array | undefined {
    if (this.latest.oddRows === 0) return undefined;
    const row = this.tables.odd.getBinaryFast(oddRowKey(table, key), this.at);
    if (row === undefined) return undefined;
    const rest = key.slice(ODD_KEY_BYTES_MIN);
    return decodeOddRow(viewOf(row)).find((entry) => entry.rest === rest)?.value;
  }

  private oddSource(
    table: number,
    from: ByteString,
    to: ByteString | undefined,
    reverse: boolean,
  ): OddSource {
    const start = oddRowKey(table, from);
    // The row that holds `to` holds keys below it, too: its end is the next possible row.
    const end = to === undefined ? String.fromCharCode(table + 1) : `${oddRowKey(table, to)}\0`;
    const rows = new FileSource(this.tables.odd, rangeOf(start, end, reverse), this.at, this.path, false);
    return new OddSource(rows, from, to, reverse);
  }
}

interface Range {
  readonly start: ByteString | undefined;
  readonly end: ByteString | undefined;
  readonly reverse: boolean;
  readonly exclusiveStart: boolean;
  readonly inclusiveEnd: boolean;
}

/** The next row of a range. */
function step<T>(rows: Iterator<T>, path: string): IteratorResult<T> {
  try {
    return rows.next();
  } catch (error) {
    throw asBackendError(error, path);
  }
}

/**
 * A bound for rows that are not odd. None is as long as the shared prefix of odd keys, so none lies between a longer
 * bound and its prefix.
 */
function rowBound<K extends ByteString | undefined>(key: K): K | ByteString {
  return key !== undefined && isOddKey(key) ? key.slice(0, ODD_KEY_BYTES_MIN) : key;
}

/** [from, to) in lmdb's terms, where a descending range starts at its upper end. */
function rangeOf(from: ByteString, to: ByteString | undefined, reverse: boolean): Range {
  return reverse
    ? { start: to, end: from, reverse, exclusiveStart: to !== undefined, inclusiveEnd: true }
    : { start: from, end: to, reverse, exclusiveStart: false, inclusiveEnd: false };
}

/**
 * Rows of one database. lmdb has one buffer for all values: when two of these are read in turns, one `copies` its
 * value before the other takes the buffer.
 */
class FileSource implements RowSource {
  key: ByteString = '';
  private bytes: Uint8Array | undefined = undefined;
  private readonly rows: Iterator<{ key: ByteString; value: Uint8Array }>;
  private isDone = false;

  constructor(
    rows: Rows,
    range: Range,
    at: { transaction: Snapshot },
    private readonly path: string,
    private readonly copies: boolean,
  ) {
    this.rows = rows.getRange({ ...range, ...at })[Symbol.iterator]();
  }

  next(): boolean {
    const row = step(this.rows, this.path);
    if (row.done === true) {
      this.isDone = true;
      return false;
    }
    this.key = row.value.key;
    this.bytes = this.copies ? new Uint8Array(row.value.value) : row.value.value;
    return true;
  }

  value(): Uint8Array | undefined {
    return this.bytes;
  }

  close(): void {
    if (!this.isDone) this.rows.return?.();
    this.isDone = true;
  }
}

/** The odd keys of a table in a range. */
class OddSource implements RowSource {
  key: ByteString = '';
  private entries: OddEntry[] = [];
  private place = 0;

  constructor(
    private readonly rows: FileSource,
    private readonly from: ByteString,
    private readonly to: ByteString | undefined,
    private readonly reverse: boolean,
  ) {}

  next(): boolean {
    this.place++;
    while (this.place >= this.entries.length) {
      if (!this.rows.next()) return false;
      this.open(this.rows.key.slice(1));
    }
    this.key = this.rows.key.slice(1) + this.entries[this.place].rest;
    return true;
  }

  value(): Uint8Array | undefined {
    return this.entries[this.place].value;
  }

  close(): void {
    this.rows.close();
  }

  private open(prefix: ByteString): void {
    const { from, to } = this;
    const row = this.rows.value();
    assert(row !== undefined, 'a row of the file has a value');
    this.entries = decodeOddRow(row).filter(({ rest }) => {
      const key = prefix + rest;
      return key >= from && (to === undefined || key < to);
    });
    if (this.reverse) this.entries.reverse();
    this.place = 0;
  }
}

/** Names the format of a new file and checks that of an old one. */
function checkFormat(tables: LmdbTables, path: string): void {
  const row = tables.state.get('format');
  if (row === undefined) {
    const names = [...tables.root.getKeys()].length;
    if (names > TABLES.length + 3 || readFigures(tables).rowCounts.some((count) => count > 0)) {
      throw foreignFile(path);
    }
    tables.root.transactionSync(() => {
      tables.state.putSync('format', encodeFormat(FILE_FORMAT));
      tables.state.putSync('applied', encodeMark({ index: 0, term: 0 }));
    });
    return;
  }
  const format = decodeFormat(row);
  if (format === undefined) throw foreignFile(path);
  if (format > FILE_FORMAT) {
    throw new BackendError(
      'newer-format',
      `The state file ${path} has format ${format}, but this version reads formats up to ${FILE_FORMAT}. ` +
        'Start the version that wrote it, or a newer one.',
    );
  }
}
