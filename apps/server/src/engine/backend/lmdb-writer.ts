import { assert } from '../platform/assert.js';
import { readRedo, type RedoChunk, type RedoVisitor } from './arena.js';
import { type AppliedMark, type ByteString } from './backend.js';
import { type BackendError } from './backend-error.js';
import { asBackendError, noSpace } from './lmdb-error.js';
import {
  type FileFigures,
  type LmdbTables,
  openTables,
  readFigures,
  type LmdbOptions,
} from './lmdb-tables.js';
import { changeOddEntry, decodeOddRow, encodeOddRow } from './odd-row.js';
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
  /** Values are copied here on their way: LMDB takes addresses of ordinary memory only. */
  private scratch = Buffer.alloc(64 * 1024);

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
    const last = TABLES.map(() => new Map<ByteString, Uint8Array | undefined>());
    readRedo(chunks, {
      put: (table, key, value) => last[table].set(key, value),
      delete: (table, key) => last[table].set(key, undefined),
      appendLog: ignore,
      deleteLog: ignore,
    });
    // Tables come first: they reuse the pages that they gave up in earlier flushes, and the log takes what follows.
    // Were they mixed, reading a row of a table would map its neighbours, pages of the log, into resident memory.
    for (let table = 0; table < last.length; table++) this.writeTable(table, last[table]);
    readRedo(chunks, { put: ignore, delete: ignore, ...this.logWriter() });
  }

  private logWriter(): Pick<RedoVisitor, 'appendLog' | 'deleteLog'> {
    const { log } = this.tables;
    const position = [0, 0];
    return {
      appendLog: (main, sub, row) => {
        position[0] = main;
        position[1] = sub;
        const isLast: unknown = log.putSync(position, this.copy(row), APPEND);
        assert(isLast !== false, 'log positions follow those of the file');
      },
      deleteLog: (main, sub) => {
        position[0] = main;
        position[1] = sub;
        log.removeSync(position);
      },
    };
  }

  private writeTable(table: number, changes: ReadonlyMap<ByteString, Uint8Array | undefined>): void {
    const rows = this.tables.tables[table];
    for (const key of [...changes.keys()].sort()) {
      const value = changes.get(key);
      if (isOddKey(key)) this.writeOdd(table, key, value);
      else if (value === undefined) rows.removeSync(key);
      else rows.putSync(key, this.copy(value));
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

  private copy(value: Uint8Array): Uint8Array {
    if (value.length > this.scratch.length) this.scratch = Buffer.alloc(value.length * 2);
    this.scratch.set(value);
    return this.scratch.subarray(0, value.length);
  }
}

function ignore(): void {
  // The other pass takes it.
}
