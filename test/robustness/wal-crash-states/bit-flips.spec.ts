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
} from '../../../apps/server/src/engine/wal/wal-fixture.js';
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

/** Three short segments and the start of a fourth; `clean` is closed, so that the sync mark proves everything. */
async function smallLog(clean: boolean): Promise<DiskModel> {
  const fixture = walFixture();
  const wal = await fixture.open({ segmentBytes: 4096 });
  for (let i = 1; i <= 36; i++) await appendNow(wal, fixtureEntries(i, i, 1, 200));
  if (clean) await wal.close();
  else fixture.disk.crash();
  return fixture.disk.model.crash(() => 0);
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
      if (header === undefined) break;
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

describe('one flipped bit', () => {
  it('in anything that a sync mark proves is refused as corruption, with its place', async () => {
    const model = await smallLog(true);
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
    const model = await smallLog(true);
    const file = `${fixtureDirectory}/sync.mark`;
    const { size } = model.find(file, 'read');
    for (let bit = 0; bit < size * 8; bit++) {
      expect(await withFlip(model, file, bit >> 3, bit & 7)).toBeInstanceOf(WalCorruptionError);
    }
  });

  it('is refused where a later record is proof, and reported as a torn tail where nothing is', async () => {
    const model = await smallLog(false);
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
            firstIndexDropped: 36,
            bytes: last.end - record.offset,
          };
          expect(outcome).toMatchObject({
            entries: 35,
            torn: { offset: torn.offset, lsn: torn.lsn, firstIndexDropped: 36 },
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

  it('in the zeros after the last record loses nothing, and is reported', async () => {
    const model = await smallLog(true);
    const last = recordsOf(model).at(-1)!;
    const outcome = await withFlip(model, last.file, last.end + 100, 3);
    expect(outcome).toMatchObject({
      entries: 36,
      torn: { offset: last.end, bytes: 101, firstIndexDropped: 37 },
    });
  });
});
