import { describe, expect, it } from 'vitest';
import { type SimulatedDisk } from '../platform/simulated-disk.js';
import { type LogMark } from '../wal/state.js';
import { fixtureEntries, SeededRandom, silentLogger, walFixture } from '../wal/wal-fixture.js';
import { SnapshotReader, SnapshotWriter } from './snapshot-file.js';
import { connectsTo, Snapshotter } from './snapshotter.js';

const directory = '/data/snap';
const confState = { voters: [1n, 2n], learners: [3n], outgoing: [1n], learnersNext: [], autoLeave: true };
const markAt = (index: number, term = 1): LogMark => ({ index, term, confState });
const always = (): boolean => true;

function open(disk: SimulatedDisk, keep?: number): Promise<Snapshotter> {
  return Snapshotter.open({ disk, directory, logger: silentLogger, clusterId: 7n, ...(keep && { keep }) });
}

async function payloadOf(disk: SimulatedDisk, path: string): Promise<Uint8Array> {
  const reader = await SnapshotReader.open(disk, path);
  const parts: Uint8Array[] = [];
  for await (const part of reader.chunks()) parts.push(part);
  await reader.close();
  return Buffer.concat(parts);
}

describe('a snapshotter', () => {
  it('starts empty, and gives back the newest restart point', async () => {
    const { disk } = walFixture();
    const snapshotter = await open(disk);
    expect(await snapshotter.load(always)).toBeUndefined();
    await snapshotter.save(markAt(10), '3.5');
    const path = await snapshotter.save(markAt(20, 2), '3.6');
    expect(path).toBe(`${directory}/0000000000000002-0000000000000014.snap`);
    const loaded = await snapshotter.load(always);
    expect(loaded).toEqual({
      path,
      broken: [],
      description: { clusterId: 7n, clusterVersion: '3.6', mark: markAt(20, 2) },
    });
  });

  it('keeps the last few', async () => {
    const { disk } = walFixture();
    const snapshotter = await open(disk, 2);
    for (let i = 1; i <= 5; i++) await snapshotter.save(markAt(i * 10), '3.5');
    expect(disk.model.list(directory)).toEqual([
      '0000000000000001-0000000000000028.snap',
      '0000000000000001-0000000000000032.snap',
    ]);
  });

  it('carries a payload of any size', async () => {
    const { disk } = walFixture();
    const snapshotter = await open(disk);
    for (const size of [0, 1, 256 * 1024, 256 * 1024 + 1, 700_001]) {
      const payload = new Uint8Array(size).map((_, i) => (i * 7 + size) & 0xff);
      const cuts = [0, Math.floor(size / 3), Math.floor(size / 2), size];
      const parts = [0, 1, 2].map((i) => payload.subarray(cuts[i], cuts[i + 1]));
      const path = await snapshotter.save(markAt(size + 1), '3.5', parts);
      expect(Buffer.compare(await payloadOf(disk, path), payload)).toBe(0);
    }
  });

  it('passes over a broken newest one, reports it, and refuses when none is left', async () => {
    const { disk } = walFixture();
    const snapshotter = await open(disk);
    const older = await snapshotter.save(markAt(10), '3.5', [new Uint8Array(100).fill(1)]);
    const newest = await snapshotter.save(markAt(20), '3.5', [new Uint8Array(100).fill(2)]);
    disk.model.find(newest, 'read').flipBit(150, 2);
    const loaded = await snapshotter.load(always);
    expect(loaded!.path).toBe(older);
    expect(loaded!.broken).toMatchObject([{ path: newest }]);
    const refused = snapshotter.load((mark) => mark.index > 10);
    await expect(refused).rejects.toMatchObject({ code: 'corrupt' });
    await expect(refused).rejects.toThrow(/entries between it and the log are missing/);
  });

  it('refuses snapshots of another cluster and of a newer format', async () => {
    const { disk } = walFixture();
    const snapshotter = await open(disk);
    await snapshotter.save(markAt(10), '3.5');
    const foreign = await Snapshotter.open({ disk, directory, logger: silentLogger, clusterId: 8n });
    await expect(foreign.load(always)).rejects.toMatchObject({ code: 'foreign' });
  });

  it('finds every flipped bit and every truncation of a file', async () => {
    const { disk } = walFixture();
    await disk.makeDirectory('/data');
    const description = { clusterId: 7n, clusterVersion: '3.5', mark: markAt(3) };
    const writer = await SnapshotWriter.create(disk, '/data/x', description);
    await writer.write(new Uint8Array(64).fill(9));
    const size = await writer.finish();
    const inode = disk.model.find('/data/x', 'read');
    expect(inode.size).toBe(size);
    await payloadOf(disk, '/data/x');
    for (let bit = 0; bit < size * 8; bit++) {
      inode.flipBit(bit >> 3, bit & 7);
      await expect(payloadOf(disk, '/data/x'), `bit ${bit}`).rejects.toMatchObject({ name: 'SnapshotError' });
      inode.flipBit(bit >> 3, bit & 7);
    }
    const content = inode.read(0, size);
    for (let length = 0; length < size; length++) {
      inode.truncate(length);
      await expect(payloadOf(disk, '/data/x'), `length ${length}`).rejects.toMatchObject({ code: 'corrupt' });
      inode.write(0, content);
    }
    inode.write(size, new Uint8Array(1));
    await expect(payloadOf(disk, '/data/x')).rejects.toThrow(/bytes follow the end/);
  });

  it('leaves the earlier restart point in every crash state of a save', async () => {
    const { disk } = walFixture();
    const snapshotter = await open(disk, 1);
    await snapshotter.save(markAt(10), '3.5', [new Uint8Array(1500).fill(1)]);
    const models: (typeof disk.model)[] = [];
    disk.onEffect = () => models.push(disk.model.clone());
    await snapshotter.save(markAt(20), '3.5', [new Uint8Array(1500).fill(2)]);
    models.push(disk.model.clone());
    for (const [i, model] of models.entries()) {
      for (let seed = 0; seed < 20; seed++) {
        const random = new SeededRandom(i * 100 + seed);
        const survivor = walFixture(model.crash((options) => random.below(options), random)).disk;
        const loaded = await (await open(survivor)).load(always);
        expect([10, 20]).toContain(loaded!.description.mark.index);
        if (i === models.length - 1) expect(loaded!.description.mark.index).toBe(20);
        expect(survivor.model.list(directory).some((name) => name.endsWith('.tmp'))).toBe(false);
      }
    }
  });

  it('removes what a failed save has written', async () => {
    const { disk } = walFixture();
    const snapshotter = await open(disk);
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(10);
      throw new Error('the state is gone');
    }
    await expect(snapshotter.save(markAt(5), '3.5', failing())).rejects.toThrow('the state is gone');
    expect(disk.model.list(directory)).toEqual([]);
  });
});

describe('connectsTo', () => {
  it('asks for every entry between snapshot and log, and for one history', () => {
    const log = { mark: markAt(10, 2), entries: fixtureEntries(11, 15, 3) };
    expect(connectsTo(log, markAt(9, 2))).toBe(false);
    expect(connectsTo(log, markAt(10, 2))).toBe(true);
    expect(connectsTo(log, markAt(10, 1))).toBe(false);
    expect(connectsTo(log, markAt(13, 3))).toBe(true);
    expect(connectsTo(log, markAt(13, 2))).toBe(false);
    expect(connectsTo(log, markAt(20, 4))).toBe(true);
  });
});
