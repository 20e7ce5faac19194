import { describe, expect, it } from 'vitest';
import { type DiskModel } from '../platform/simulated-disk-model.js';
import { readSegmentHead, writeAppend, writeSegmentHead } from './payload.js';
import { headerBytes, readHeader, RecordChain, recordBytes, recordSize, RecordType } from './record.js';
import { WalCorruptionError, WalError } from './wal-error.js';
import {
  appendNow,
  fixtureDirectory,
  fixtureEntries,
  fixtureMetadata,
  SeededRandom,
  walFixture,
} from './wal-fixture.js';

/** A closed log of 5 or more segments with entries 1 to 60. */
async function closedLog(): Promise<DiskModel> {
  const fixture = walFixture();
  const wal = await fixture.open({ segmentBytes: 4096 });
  for (let i = 1; i <= 60; i++) await appendNow(wal, fixtureEntries(i, i, 1, 300));
  await wal.close();
  return fixture.disk.model;
}

const segments = (model: DiskModel): string[] =>
  model.list(fixtureDirectory).filter((name) => name.endsWith('.wal'));
const pathOf = (name: string): string => `${fixtureDirectory}/${name}`;

function copyFile(model: DiskModel, from: string, to: string): void {
  const { size } = model.find(from, 'read');
  model.create(to).write(0, model.find(from, 'read').read(0, size));
}

async function refusal(model: DiskModel, metadata = fixtureMetadata): Promise<WalError> {
  const outcome = await walFixture(model)
    .open({ metadata })
    .catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(WalError);
  return outcome as WalError;
}

describe('opening a log whose files are not what was written', () => {
  it('refuses a missing segment, in the middle, at the start and at the end', async () => {
    for (const [position, code] of [
      [1, 'missing segment'],
      [0, 'missing segment'],
      [-1, 'corrupt'],
    ] as const) {
      const model = await closedLog();
      model.remove(pathOf(segments(model).at(position)!));
      const error = await refusal(model);
      expect(error.code).toBe(code);
      expect(error.message).toMatch(/add it again/);
    }
  });

  it('refuses a log without segments whose sync mark is left', async () => {
    const model = await closedLog();
    for (const name of segments(model)) model.remove(pathOf(name));
    expect((await refusal(model)).code).toBe('missing segment');
  });

  it('refuses a copy, a renamed segment, and a file that only looks like one', async () => {
    const copied = await closedLog();
    const name = segments(copied)[1]!;
    const other = name.replace(/.\.wal$/, 'f.wal');
    copyFile(copied, pathOf(name), pathOf(other));
    expect(await refusal(copied)).toMatchObject({ code: 'duplicate segment' });

    const renamed = await closedLog();
    renamed.rename(pathOf(name), pathOf(other));
    expect(await refusal(renamed)).toMatchObject({ code: 'renamed segment' });

    const unknown = await closedLog();
    unknown.create(pathOf('backup.wal'));
    expect((await refusal(unknown)).message).toContain('Move it away');
  });

  it('refuses segments of another cluster or member, and swapped segments of the same one', async () => {
    const model = await closedLog();
    const cluster = await refusal(model, { ...fixtureMetadata, clusterId: 9n });
    expect(cluster).toMatchObject({ code: 'foreign' });
    expect(cluster.message).toContain('member a1 of cluster c1');
    expect(await refusal(model, { ...fixtureMetadata, memberId: 9n })).toMatchObject({ code: 'foreign' });

    const [first, second] = segments(model);
    model.rename(pathOf(first!), pathOf('swap.tmp'));
    copyFile(model, pathOf(second!), pathOf(first!));
    expect((await refusal(model)).code).toBe('renamed segment');
  });

  it('refuses a newer format with the remedy, but takes a damaged format byte for damage', async () => {
    const model = await closedLog();
    const inode = model.find(pathOf(segments(model)[0]!), 'read');
    const source = recordBytes(inode.read(0, 4096));
    const header = readHeader(source, 0)!;
    const head = readSegmentHead(source, headerBytes, header.payloadLength);
    source.view.setUint8(4, 2);
    inode.write(0, source.bytes);
    expect(await refusal(model)).toBeInstanceOf(WalCorruptionError);

    const { crc32 } = await import('node:zlib');
    source.view.setUint32(44, crc32(source.bytes.subarray(0, 44)), true);
    inode.write(0, source.bytes);
    const error = await refusal(model);
    expect(error.code).toBe('newer format');
    expect(error.message).toContain('Start the release that wrote it');
    expect(head.metadata).toEqual(fixtureMetadata);
  });

  it('ignores what was being prepared and files that are not ours', async () => {
    const model = await closedLog();
    model.create(pathOf('00000000000000ff.tmp')).write(0, new Uint8Array(100).fill(1));
    model.create(pathOf('.DS_Store'));
    const wal = await walFixture(model).open();
    expect(wal.recovered!.entries).toHaveLength(60);
    expect(model.list(fixtureDirectory)).not.toContain('00000000000000ff.tmp');
    await wal.close();
  });
});

describe('the end of a log', () => {
  it('may be all zeros, cut within the zeros, or without any', async () => {
    for (const size of [undefined, 100, 0]) {
      const fixture = walFixture();
      const wal = await fixture.open();
      await appendNow(wal, fixtureEntries(1, 3, 1));
      const path = pathOf(segments(fixture.disk.model)[0]!);
      const inode = fixture.disk.model.find(path, 'read');
      const end = 256 + 144;
      if (size !== undefined) inode.truncate(end + size);
      const again = await walFixture(fixture.disk.model.clone()).open();
      expect(again.recovered!.entries).toHaveLength(3);
      await again.close();
    }
  });

  it('is dropped where a batch was torn, and what follows the tear with it', async () => {
    const fixture = walFixture();
    const wal = await fixture.open();
    await appendNow(wal, fixtureEntries(1, 3, 1));
    const inode = fixture.disk.model.find(pathOf(segments(fixture.disk.model)[0]!), 'read');
    const before = wal.stats.bytes + 144;
    let written = 0;
    for (let i = 4; i <= 6; i++)
      wal.append({ entries: fixtureEntries(i, i, 1), mustSync: false }, () => written++);
    for (let i = 0; i < 50; i++) await Promise.resolve();
    expect(written).toBe(3);
    fixture.disk.crash();
    inode.flipBit(before + 60, 1);
    const again = await walFixture(fixture.disk.model.clone()).open();
    expect(again.recovered!.entries).toEqual(fixtureEntries(1, 3, 1));
    expect(again.recovered!.report.torn).toMatchObject({ offset: before, firstIndexDropped: 4 });
    expect(again.recovered!.report.torn!.bytes).toBeGreaterThan(150);
    await again.close();
  });

  it('survives any bytes after it: only the documented errors come out, and nothing is invented', async () => {
    const random = new SeededRandom(5);
    for (let round = 0; round < 150; round++) {
      const fixture = walFixture();
      const wal = await fixture.open();
      await appendNow(wal, fixtureEntries(1, 3, 1));
      const inode = fixture.disk.model.find(pathOf(segments(fixture.disk.model)[0]!), 'read');
      const at = random.below(600);
      const noise = new Uint8Array(1 + random.below(200)).map(() => random.below(256));
      inode.write(at, noise);
      const outcome: unknown = await walFixture(fixture.disk.model.clone())
        .open()
        .then((again) => again.recovered!.entries.length)
        .catch((error: unknown) => error);
      if (typeof outcome === 'number') expect([0, 3]).toContain(outcome);
      else expect(outcome).toBeInstanceOf(WalCorruptionError);
    }
  });

  it('refuses records with right checksums and impossible content', async () => {
    const payloads: ((target: ReturnType<typeof recordBytes>) => number)[] = [
      (target) => {
        const length = writeAppend(target, headerBytes, undefined, fixtureEntries(4, 4, 1), 0, 1);
        target.view.setUint32(headerBytes + 4, 0xffff_ffff, true);
        return length;
      },
      (target) => writeAppend(target, headerBytes, undefined, fixtureEntries(9, 9, 1), 0, 1),
      (target) => {
        const length = writeAppend(target, headerBytes, undefined, fixtureEntries(4, 4, 1), 0, 1);
        target.view.setUint32(headerBytes + 28, 0x7fff_ffff, true);
        return length;
      },
      (target) => {
        target.view.setUint32(headerBytes, 7, true);
        return 8;
      },
    ];
    for (const payload of payloads) {
      const fixture = walFixture();
      const wal = await fixture.open();
      await appendNow(wal, fixtureEntries(1, 3, 1));
      const inode = fixture.disk.model.find(pathOf(segments(fixture.disk.model)[0]!), 'read');
      const at = 144 + wal.stats.bytes;
      const before = recordBytes(inode.read(144, wal.stats.bytes));
      const header = readHeader(before, 0)!;
      const crc = before.view.getUint32(recordSize(header.payloadLength) - 4, true);
      const chain = new RecordChain(1, header.lsn, crc);
      const target = recordBytes(new Uint8Array(512));
      const size = chain.seal(target, 0, at, RecordType.append, payload(target));
      inode.write(at, target.bytes.subarray(0, size));
      const error = await refusal(fixture.disk.model.clone());
      expect(error).toMatchObject({ code: 'corrupt', offset: at, lsn: header.lsn + 1, index: 4 });
    }
  });

  it('bounds the members of a configuration before it reads them', () => {
    const target = recordBytes(new Uint8Array(1000));
    const confState = { voters: [1n], learners: [], outgoing: [], learnersNext: [], autoLeave: false };
    const hardState = { term: 1, vote: 1n, commit: 1 };
    const mark = { index: 1, term: 1, confState };
    const length = writeSegmentHead(target, 0, {
      metadata: fixtureMetadata,
      firstIndex: 2,
      contentLsn: 1,
      hardState,
      mark,
    });
    expect(readSegmentHead(target, 0, length)).toMatchObject({ mark });
    for (const value of [1025, 0xffff_ffff, 100]) {
      target.view.setUint32(56 + 20, value, true);
      expect(() => readSegmentHead(target, 0, length)).toThrow(/a list of|end within a field/);
    }
  });
});
