import { assert } from '../platform/assert.js';
import { CHUNK_BYTES } from './arena.js';
import { type AppliedMark, type ByteString } from './backend.js';
import { type BackendError } from './backend-error.js';
import { asBackendError, noSpace } from './lmdb-error.js';
import {
  type FileFigures,
  type LmdbTables,
  openTables,
  readFigures,
  type LmdbOptions,
  PlacedBytes,
} from './lmdb-tables.js';
import { changeOddEntry, decodeOddRow, encodeOddRow } from './odd-row.js';
import { firstRecordAt, RecordKind, RedoCursor, type RedoChunk } from './redo-list.js';
import { encodeMark, isOddKey, oddRowKey, ODD_KEY_BYTES_MIN, TABLES } from './schema.js';
import { canGrow } from './space-probe.js';

const PROBE_BYTES_MAX = 16 * 1024 * 1024;

/** The log only grows at its end: its pages are filled, not split. */
const APPEND = { append: true };

/**
 * Writes generations to the file, each in one transaction with its applied mark.
 *
 * Of several changes of one key only the last is written. Keys are written in order: neighbours lie on the same page.
 */
export class LmdbWriter {
  private readonly tables: LmdbTables;
  /** What is written is copied here on its way: LMDB takes addresses of ordinary memory only. */
  private readonly scratch = new PlacedBytes(new ArrayBuffer(CHUNK_BYTES));

  /** @throws BackendError */
  constructor(private readonly options: LmdbOptions) {
    this.tables = openTables(options);
  }

  /**
   * Writes a redo list and the mark it leads to. When it returns, both are durable; when it throws, nothing happened.
   *
   * @throws BackendError
   */
  write(chunks: readonly RedoChunk[], mark: AppliedMark): FileFigures {
    try {
      this.tables.root.transactionSync(() => {
        this.writeRedo(chunks);
        this.tables.state.putSync('applied', encodeMark(mark));
      });
      return readFigures(this.tables);
    } catch (error) {
      throw this.diagnose(error, chunks);
    }
  }

  async close(): Promise<void> {
    await this.tables.root.close();
  }

  private diagnose(error: unknown, chunks: readonly RedoChunk[]): BackendError {
    const { path } = this.options;
    const found = asBackendError(error, path);
    if (found.code !== 'io') return found;
    try {
      // As much as the transaction may have wanted to write.
      const bytes = chunks.reduce((sum, chunk) => sum + chunk.usedBytes, 0) * 2;
      return canGrow(path, Math.min(bytes, PROBE_BYTES_MAX)) ? found : noSpace(path, found);
    } catch {
      return found;
    }
  }

  private writeRedo(chunks: readonly RedoChunk[]): void {
    // Tables come first: they reuse the pages that they gave up in earlier flushes, and the log takes what follows.
    // Were they mixed, reading a row of a table would map its neighbours, pages of the log, into resident memory.
    for (const [table, changes] of lastChanges(chunks).entries()) this.writeTable(table, changes);
    for (const [number, chunk] of chunks.entries()) this.writeLog(number, chunk);
  }

  private writeLog(number: number, { memory, usedBytes }: RedoChunk): void {
    const { log } = this.tables;
    const row = this.place(new Uint8Array(memory, 0, usedBytes));
    const cursor = new RedoCursor(row.buffer, firstRecordAt(number), usedBytes);
    const position = [0, 0];
    while (cursor.next()) {
      const { kind } = cursor;
      if (kind === RecordKind.put || kind === RecordKind.delete) continue;
      position[0] = cursor.main;
      position[1] = cursor.sub;
      if (kind === RecordKind.deleteLog) {
        log.removeSync(position);
        continue;
      }
      row.start = cursor.start;
      row.end = cursor.end;
      const isLast: unknown = log.putSync(position, row.asValue(), APPEND);
      assert(isLast !== false, 'log positions follow those of the file');
    }
  }

  private writeTable(table: number, changes: ReadonlyMap<ByteString, Uint8Array | undefined>): void {
    const rows = this.tables.tables[table];
    for (const key of [...changes.keys()].sort()) {
      const value = changes.get(key);
      if (isOddKey(key)) this.writeOdd(table, key, value);
      else if (value === undefined) rows.removeSync(key);
      else rows.putSync(key, this.place(value).asValue());
    }
  }

  private writeOdd(table: number, key: ByteString, value: Uint8Array | undefined): void {
    const { odd } = this.tables;
    const rowKey = oddRowKey(table, key);
    const row = odd.getBinary(rowKey);
    const entries = changeOddEntry(
      row === undefined ? [] : decodeOddRow(row),
      key.slice(ODD_KEY_BYTES_MIN),
      value,
    );
    if (entries.length > 0) odd.putSync(rowKey, encodeOddRow(entries));
    else if (row !== undefined) odd.removeSync(rowKey);
  }

  /** A copy that LMDB can take, valid until the next one. */
  private place(bytes: Uint8Array): PlacedBytes {
    const isLong = bytes.length > this.scratch.buffer.byteLength;
    const placed = isLong ? new PlacedBytes(new ArrayBuffer(bytes.length)) : this.scratch;
    new Uint8Array(placed.buffer).set(bytes);
    placed.start = 0;
    placed.end = bytes.length;
    return placed;
  }
}

/** The last change of each key, by table; undefined: it is deleted. */
function lastChanges(chunks: readonly RedoChunk[]): Map<ByteString, Uint8Array | undefined>[] {
  const last = TABLES.map(() => new Map<ByteString, Uint8Array | undefined>());
  for (const [number, { memory, usedBytes }] of chunks.entries()) {
    const cursor = new RedoCursor(memory, firstRecordAt(number), usedBytes);
    while (cursor.next()) {
      const { kind } = cursor;
      if (kind === RecordKind.put) {
        if (!cursor.isSuperseded) last[cursor.table].set(cursor.key(), cursor.value());
      } else if (kind === RecordKind.delete) {
        last[cursor.table].set(cursor.key(), undefined);
      }
    }
  }
  return last;
}
