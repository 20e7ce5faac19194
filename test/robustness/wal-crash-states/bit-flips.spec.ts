import { describe, expect, it } from 'vitest';
import { type DiskModel } from '../../../apps/server/src/engine/platform/simulated-disk-model.js';
import { readHeader, recordBytes, recordSize } from '../../../apps/server/src/engine/wal/record.js';
import { recover } from '../../../apps/server/src/engine/wal/recovery.js';
import {
  appendNow,
  fixtureDirectory,
  fixtureEntries,
  fixtureMetadata,
  walFixture,
  type WalFixture,
} from '../../../apps/server/src/engine/wal/wal-fixture.js';
import { type Wal } from '../../../apps/server/src/engine/wal/wal.js';
import { WalCorruptionError } from '../../../apps/server/src/engine/wal/wal-error.js';

const full = process.env['CONCLAVE_FULL'] === '1';
/** The quick run takes every n-th bit; n is odd, so that every bit of a byte has its turn. */
const stride = full ? 1 : 37;

interface FoundRecord {
  readonly file: string;
  readonly offset: number;
  readonly end: number;
  readonly lsn: number;
  readonly syncedLsn: number;
}

interface SmallLog {
  readonly model: DiskModel;
  /** Entries that recovery finds, and the index of the last one. */
  readonly entries: number;
  readonly lastIndex: number;
}

/** Three short segments and the start of a fourth; `clean` is closed, so that the sync mark proves everything. */
async function smallLog(clean: boolean): Promise<SmallLog> {
  const fixture = walFixture();
  const wal = await fixture.open({ segmentBytes: 4096 });
  for (let i = 1; i <= 36; i++) await appendNow(wal, fixtureEntries(i, i, 1, 200));
  return end(fixture, wal, clean, { entries: 36, lastIndex: 36 });
}

/** The same, with what earlier segments held behind the records of the last one. */
async function logInReusedFiles(clean: boolean): Promise<SmallLog> {
  const fixture = walFixture();
  const wal = await fixture.open({ segmentBytes: 4096 });
  const lastIndex = 98;
  let marked = 0;
  for (let i = 1; i <= lastIndex; i++) {
    await appendNow(wal, fixtureEntries(i, i, 1, 200 + (i % 7)));
    if (i % 5 > 0 || i < 40) continue;
    marked = i - 35;
    await new Promise<void>((resolve) => wal.saveMark({ index: marked, term: 1, confState }, resolve));
    wal.cut(marked);
  }
  const log = await end(fixture, wal, clean, { entries: lastIndex - marked, lastIndex });
  expect(staleRecords(log.model)).toBeGreaterThan(2);
  return log;
}

const confState = { voters: [1n], learners: [], outgoing: [], learnersNext: [], autoLeave: false };

async function end(
  fixture: WalFixture,
  wal: Wal,
  clean: boolean,
  log: Omit<SmallLog, 'model'>,
): Promise<SmallLog> {
  if (clean) await wal.close();
  else fixture.disk.crash();
  return { ...log, model: fixture.disk.model.crash(() => 0) };
}

/** Records in the last file that say that they belong to another segment. */
function staleRecords(model: DiskModel): number {
  const file = segmentFiles(model).at(-1)!;
  const inode = model.find(`${fixtureDirectory}/${file}`, 'read');
  const source = recordBytes(inode.read(0, inode.size));
  const number = readHeader(source, 0)!.segment;
  let count = 0;
  for (let at = 0; at < inode.size; at += 8) {
    const header = readHeader(source, at);
    if (header !== undefined && header.segment !== number) count++;
  }
  return count;
}

function segmentFiles(model: DiskModel): string[] {
  return model.list(fixtureDirectory).filter((name) => name.endsWith('.wal'));
}

function recordsOf(model: DiskModel): FoundRecord[] {
  const records: FoundRecord[] = [];
  for (const name of segmentFiles(model)) {
    const file = `${fixtureDirectory}/${name}`;
    const inode = model.find(file, 'read');
    const source = recordBytes(inode.read(0, inode.size));
    for (let offset = 0; ;) {
      const header = readHeader(source, offset);
      if (header === undefined || header.offset !== offset) break;
      const end = offset + recordSize(header.payloadLength);
      records.push({ file, offset, end, lsn: header.lsn, syncedLsn: header.syncedLsn });
      offset = end;
    }
  }
  return records;
}

/** What recovery says when one bit is different: the error, or the report and the number of entries. */
async function withFlip(model: DiskModel, file: string, offset: number, bit: number): Promise<unknown> {
  const damaged = model.clone();
  damaged.find(file, 'read').flipBit(offset, bit);
  const { disk } = walFixture(damaged);
  try {
    const { log } = (await recover(disk, fixtureDirectory, fixtureMetadata))!;
    return { torn: log.report.torn, entries: log.entries.length };
  } catch (error) {
    return error;
  }
}

describe.each([
  ['in files of zeros', smallLog],
  ['in files that earlier segments used', logInReusedFiles],
])('one flipped bit, %s', (_, makeLog) => {
  it('in anything that a sync mark proves is refused as corruption, with its place', async () => {
    const { model } = await makeLog(true);
    const records = recordsOf(model);
    expect(segmentFiles(model).length).toBeGreaterThan(2);
    let flips = 0;
    for (const { file, offset, end } of records) {
      for (let bit = flips % stride; bit < (end - offset) * 8; bit += stride) {
        flips++;
        const error = await withFlip(model, file, offset + (bit >> 3), bit & 7);
        expect(error, `${file} ${offset} bit ${bit}`).toBeInstanceOf(WalCorruptionError);
        expect(error).toMatchObject({ segment: file, offset });
        expect((error as Error).message).toContain('add it again as a learner');
      }
    }
    expect(flips).toBeGreaterThan(full ? 60_000 : 1_500);
  });

  it('in the sync mark itself is refused', async () => {
    const { model } = await makeLog(true);
    const file = `${fixtureDirectory}/sync.mark`;
    const { size } = model.find(file, 'read');
    for (let bit = 0; bit < size * 8; bit++) {
      expect(await withFlip(model, file, bit >> 3, bit & 7)).toBeInstanceOf(WalCorruptionError);
    }
  });

  it('is refused where a later record is proof, and reported as a torn tail where nothing is', async () => {
    const { model, entries, lastIndex } = await makeLog(false);
    const records = recordsOf(model);
    const last = records.at(-1)!;
    let [refused, reported] = [0, 0];
    for (const record of records.slice(-6)) {
      const proof = Math.max(...records.filter((other) => other !== record).map((other) => other.syncedLsn));
      for (let bit = 0; bit < (record.end - record.offset) * 8; bit += full ? 1 : 11) {
        const outcome = await withFlip(model, record.file, record.offset + (bit >> 3), bit & 7);
        if (proof >= record.lsn) {
          refused++;
          expect(outcome).toBeInstanceOf(WalCorruptionError);
        } else {
          reported++;
          const torn = {
            offset: record.offset,
            lsn: record.lsn,
            firstIndexDropped: lastIndex,
            bytes: last.end - record.offset,
          };
          expect(outcome).toMatchObject({
            entries: entries - 1,
            torn: { offset: torn.offset, lsn: torn.lsn, firstIndexDropped: lastIndex },
          });
          const bytes = (outcome as { torn: { bytes: number } }).torn.bytes;
          expect(bytes).toBeGreaterThan(torn.bytes - 8);
          expect(bytes).toBeLessThanOrEqual(torn.bytes);
        }
      }
    }
    expect(refused).toBeGreaterThan(0);
    expect(reported).toBeGreaterThan(0);
  });

  it('in the end mark loses nothing, and is reported', async () => {
    const { model, entries, lastIndex } = await makeLog(true);
    const last = recordsOf(model).at(-1)!;
    const outcome = await withFlip(model, last.file, last.end + 20, 3);
    expect(outcome).toMatchObject({
      entries,
      torn: { offset: last.end, firstIndexDropped: lastIndex + 1 },
    });
    // In a file of zeros 24 bytes; else up to the next record of the earlier segment.
    const { bytes } = (outcome as { torn: { bytes: number } }).torn;
    expect(bytes).toBeGreaterThanOrEqual(24);
    expect(bytes).toBeLessThan(300);
  });

  it('behind the end mark is of no interest', async () => {
    const { model, entries } = await makeLog(true);
    const last = recordsOf(model).at(-1)!;
    expect(await withFlip(model, last.file, last.end + 100, 3)).toEqual({ entries, torn: undefined });
  });
});
