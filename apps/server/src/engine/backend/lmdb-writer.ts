import { assert } from '../platform/assert.js';
import { readRedo, type RedoChunk, type RedoVisitor } from './arena.js';
import { type AppliedMark, type ByteString } from './backend.js';
import { asBackendError } from './lmdb-error.js';
import {
  type FileFigures,
  type LmdbTables,
  openTables,
  readFigures,
  type LmdbOptions,
} from './lmdb-tables.js';
import { changeOddEntry, decodeOddRow, encodeOddRow } from './odd-row.js';
import { encodeMark, isOddKey, oddRowKey, ODD_KEY_BYTES_MIN, TABLES } from './schema.js';

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
      throw asBackendError(error, this.options.path);
    }
  }

  async close(): Promise<void> {
    await this.tables.root.close();
  }

  private writeRedo(chunks: readonly RedoChunk[]): void {
    const { log } = this.tables;
    const last = TABLES.map(() => new Map<ByteString, Uint8Array | undefined>());
    const position = [0, 0];
    const visitor: RedoVisitor = {
      put: (table, key, value) => last[table].set(key, value),
      delete: (table, key) => last[table].set(key, undefined),
      appendLog: (main, sub, row) => {
        position[0] = main;
        position[1] = sub;
        const isLast: unknown = log.putSync(position, this.copy(row), APPEND);
        assert(isLast !== false, `log position ${main}/${sub} follows those of the file`);
      },
      deleteLog: (main, sub) => {
        position[0] = main;
        position[1] = sub;
        log.removeSync(position);
      },
    };
    readRedo(chunks, visitor);
    for (let table = 0; table < last.length; table++) this.writeTable(table, last[table]);
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
