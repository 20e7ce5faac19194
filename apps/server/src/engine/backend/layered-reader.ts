import { assert } from '../platform/assert.js';
import {
  type BackendReader,
  type ByteString,
  type LogPosition,
  type ScanOptions,
  type Table,
} from './backend.js';
import { type Generation } from './generation.js';
import { type LmdbReader } from './lmdb-reader.js';
import { GenerationSource, type RowSource, visitMerged } from './row-source.js';
import { assertLogPosition, tableNumber } from './schema.js';

type LogVisit = (main: number, sub: number, row: Uint8Array) => boolean | void;

/**
 * Reads three layers as one: the open generation over the one that is being flushed over the file.
 *
 * Invariants: `flushing` is frozen, and the file's snapshot does not hold it yet; log rows of a layer follow all rows
 * of the layers below it.
 */
export class LayeredReader implements BackendReader {
  open: Generation;
  flushing: Generation | undefined = undefined;
  /** Scans in progress; while there are any, nothing may change. */
  scans = 0;

  constructor(
    open: Generation,
    private readonly file: LmdbReader,
  ) {
    this.open = open;
  }

  /** Rows that are not in the file yet. */
  get rows(): number {
    return this.open.rows + (this.flushing?.rows ?? 0);
  }

  /** Their size. */
  get bytes(): number {
    return this.open.bytes + (this.flushing?.bytes ?? 0);
  }

  get(table: Table, key: ByteString): Uint8Array | undefined {
    const number = tableNumber(table);
    const address = this.open.find(number, key);
    if (address > 0) return this.open.value(address);
    return address === 0 ? undefined : this.getBelowOpen(number, key);
  }

  scan(
    table: Table,
    from: ByteString,
    to: ByteString | undefined,
    options: ScanOptions,
    visit: (key: ByteString, value: Uint8Array) => boolean | void,
  ): void {
    if (to !== undefined && from >= to) return;
    const number = tableNumber(table);
    const reverse = options.reverse === true;
    const sources: RowSource[] = [];
    for (const generation of [this.open, this.flushing]) {
      if (generation?.hasKeys(number))
        sources.push(new GenerationSource(generation, number, from, to, reverse));
    }
    sources.push(...this.file.sources(number, from, to, reverse));
    this.scans++;
    try {
      visitMerged(sources, reverse, visit);
    } finally {
      this.scans--;
    }
  }

  count(table: Table, from: ByteString, to: ByteString | undefined): number {
    if (to !== undefined && from >= to) return 0;
    const number = tableNumber(table);
    let rows = this.file.count(number, from, to);
    if (this.flushing?.hasKeys(number)) {
      rows += this.flushing.countDelta(number, from, to, (key) => this.file.get(number, key) !== undefined);
    }
    if (this.open.hasKeys(number)) {
      rows += this.open.countDelta(number, from, to, (key) => this.getBelowOpen(number, key) !== undefined);
    }
    assert(rows >= 0, 'a range has no negative number of rows');
    return rows;
  }

  getLog(main: number, sub: number): Uint8Array | undefined {
    assertLogPosition(main, sub);
    const { open, flushing } = this;
    const inOpen = open.log.addressOf(main, sub);
    if (inOpen >= 0) return inOpen === 0 ? undefined : open.logRow(inOpen);
    if (open.log.deletesBelow(main, sub)) return undefined;
    if (flushing !== undefined) {
      const inFlushing = flushing.log.addressOf(main, sub);
      if (inFlushing >= 0) return inFlushing === 0 ? undefined : flushing.logRow(inFlushing);
      if (flushing.log.deletesBelow(main, sub)) return undefined;
    }
    return this.file.getLog(main, sub);
  }

  scanLog(from: LogPosition, to: LogPosition | undefined, visit: LogVisit): void {
    assertLogPosition(from.main, from.sub);
    if (to !== undefined) assertLogPosition(to.main, to.sub);
    this.scans++;
    try {
      if (!this.scanFileLog(from, to, visit)) return;
      const { open, flushing } = this;
      if (flushing !== undefined && !scanGenerationLog(flushing, open, from, to, visit)) return;
      scanGenerationLog(open, undefined, from, to, visit);
    } finally {
      this.scans--;
    }
  }

  private getBelowOpen(table: number, key: ByteString): Uint8Array | undefined {
    const { flushing } = this;
    const address = flushing === undefined ? -1 : flushing.find(table, key);
    if (address < 0) return this.file.get(table, key);
    return address === 0 || flushing === undefined ? undefined : flushing.value(address);
  }

  private scanFileLog(from: LogPosition, to: LogPosition | undefined, visit: LogVisit): boolean {
    if (to !== undefined && (from.main > to.main || (from.main === to.main && from.sub >= to.sub)))
      return true;
    const { log } = this.open;
    const below = this.flushing?.log;
    if (!log.hasDeletes && below?.hasDeletes !== true) return this.file.scanLog(from, to, visit);
    return this.file.scanLog(from, to, (main, sub, row) => {
      if (log.deletesBelow(main, sub) || below?.deletesBelow(main, sub) === true) return true;
      return visit(main, sub, row);
    });
  }
}

/** Visits the rows of a generation that `above`, the generation over it, does not delete. False when a visit said so. */
function scanGenerationLog(
  generation: Generation,
  above: Generation | undefined,
  from: LogPosition,
  to: LogPosition | undefined,
  visit: LogVisit,
): boolean {
  const { log } = generation;
  const end = to === undefined ? log.rows : log.find(to.main, to.sub);
  for (let at = log.find(from.main, from.sub); at < end; at++) {
    const address = log.addressAt(at);
    if (address === 0) continue;
    const main = log.mainAt(at);
    const sub = log.subAt(at);
    if (above?.log.deletesBelow(main, sub) === true) continue;
    if (visit(main, sub, generation.logRow(address)) === false) return false;
  }
  return true;
}
