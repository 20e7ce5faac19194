import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type SimulatedDisk } from '../platform/simulated-disk.js';
import { SeededRandom, silentLogger, walFixture } from '../wal/wal-fixture.js';
import { StateDirectory } from './state-directory.js';
import { copyContent, describeStateFile, writeStateFile } from './state-file.js';
import { sealBytes, StateKind } from './state-seal.js';

const wanted = { kind: StateKind.rows, mark: { index: 41, term: 6 } };
const path = '/spool/state';

async function withFile(content: Uint8Array): Promise<SimulatedDisk> {
  const { disk } = walFixture();
  await disk.makeDirectory('/spool');
  await writeStateFile(disk, path, wanted, content);
  return disk;
}

function bytesOf(disk: SimulatedDisk, file: string): Uint8Array {
  const inode = disk.model.find(file, 'read');
  return inode.read(0, inode.size);
}

function content(bytes: number): Uint8Array {
  const random = new SeededRandom(bytes);
  return Uint8Array.from({ length: bytes }, () => random.below(256));
}

describe('a state file', () => {
  it.each([0, 1, 512, 256 * 1024, 256 * 1024 + 1, 20 * 1024 * 1024])('gives back %i bytes', async (bytes) => {
    const sent = content(bytes);
    const disk = await withFile(sent);
    expect(disk.model.list('/spool')).toEqual(['state']);
    expect(await describeStateFile(disk, path)).toEqual({ ...wanted, contentBytes: bytes });
    await copyContent(disk, path, wanted, '/spool/copy');
    expect(Buffer.compare(bytesOf(disk, '/spool/copy'), sent)).toBe(0);
    expect(bytesOf(disk, path).length).toBe(bytes + sealBytes);
  });

  it('is durable when it was written, and so is a copy of its content', async () => {
    const disk = await withFile(content(5000));
    await copyContent(disk, path, wanted, '/spool/copy');
    await disk.syncDirectory('/spool');
    const survivor = walFixture(disk.model.crash(() => 0)).disk;
    await copyContent(survivor, path, wanted, '/spool/again');
    expect(Buffer.compare(bytesOf(survivor, '/spool/copy'), content(5000))).toBe(0);
  });

  it('is refused with any bit flipped, and at any shorter length', async () => {
    const disk = await withFile(content(100));
    const inode = disk.model.find(path, 'read');
    const bytes = bytesOf(disk, path);
    const copy = (): Promise<void> => copyContent(disk, path, wanted, '/spool/copy');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      inode.flipBit(bit >> 3, bit & 7);
      await expect(copy(), `bit ${bit}`).rejects.toMatchObject({ name: 'SnapshotError', path });
      inode.flipBit(bit >> 3, bit & 7);
    }
    for (let length = 0; length < bytes.length; length++) {
      inode.truncate(length);
      await expect(copy(), `length ${length}`).rejects.toMatchObject({ code: 'corrupt' });
      inode.write(0, bytes);
    }
    await copy();
  });

  it('is refused, and never misread, when its bytes are anything', async () => {
    const disk = await withFile(new Uint8Array(0));
    const inode = disk.model.find(path, 'read');
    const good = bytesOf(await withFile(content(300)), path);
    const damage = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes): Uint8Array => bytes),
      fc
        .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 })
        .map((changes): Uint8Array => {
          const bytes = good.slice();
          for (const [at, value] of changes) bytes[at] = value;
          return bytes;
        }),
    );
    await fc.assert(
      fc.asyncProperty(damage, async (bytes) => {
        fc.pre(Buffer.compare(bytes, good) !== 0);
        inode.truncate(0);
        inode.write(0, bytes);
        await expect(copyContent(disk, path, wanted, '/spool/copy')).rejects.toMatchObject({
          name: 'SnapshotError',
          message: expect.stringContaining(path) as string,
        });
      }),
      { numRuns: 300, seed: 3 },
    );
  });

  it('is refused when the disk gives back something else', async () => {
    const disk = await withFile(content(1000));
    disk.faultOf = ({ operation, path: file, length }) =>
      operation === 'read' && file === path && length === 1000
        ? { kind: 'flip', offset: 700, bit: 2 }
        : undefined;
    await expect(copyContent(disk, path, wanted, '/spool/copy')).rejects.toThrow(/digest is wrong.*another/);
    disk.faultOf = undefined;
    await copyContent(disk, path, wanted, '/spool/copy');
  });
});

describe('the directory of states', () => {
  const mark = wanted.mark;

  function open(disk: SimulatedDisk, firstName?: string): Promise<StateDirectory> {
    return StateDirectory.open({ disk, directory: '/db', logger: silentLogger, firstName });
  }

  async function install(disk: SimulatedDisk): Promise<StateDirectory> {
    const states = await open(disk);
    const staged = await states.stage(path, wanted);
    await states.preparePointer(staged);
    await states.switchTo(staged);
    await states.removeOthers();
    return states;
  }

  it('finds what was installed last, and nothing else stays', async () => {
    const disk = await withFile(content(10));
    const first = await open(disk);
    expect([first.currentName, first.installed]).toEqual([undefined, undefined]);
    await install(disk);
    expect(disk.model.list('/db')).toEqual(['current', 'state-00000001.db']);
    await install(disk);
    expect(disk.model.list('/db')).toEqual(['current', 'state-00000002.db']);
    const found = await open(disk);
    expect([found.currentName, found.installed]).toEqual(['state-00000002.db', mark]);
  });

  it('removes what an interrupted install has left, and nothing that it does not know', async () => {
    const disk = await withFile(content(10));
    const states = await open(disk, 'first');
    await disk.open('/db/first', 'create');
    await disk.open('/db/notes.txt', 'create');
    await states.preparePointer(await states.stage(path, wanted));
    expect(disk.model.list('/db')).toEqual(['current.tmp', 'first', 'notes.txt', 'state-00000001.db']);
    expect((await open(disk, 'first')).currentName).toBe('first');
    expect(disk.model.list('/db')).toEqual(['first', 'notes.txt']);
  });

  it('leaves nothing of a state that was refused', async () => {
    const disk = await withFile(content(10));
    const states = await open(disk);
    const other = { ...wanted, mark: { index: 42, term: 6 } };
    await expect(states.stage(path, other)).rejects.toThrow(/entry 41 in term 6, but that of entry 42/);
    disk.model.find(path, 'read').flipBit(3, 3);
    await expect(states.stage(path, wanted)).rejects.toMatchObject({ code: 'corrupt' });
    expect(disk.model.list('/db')).toEqual([]);
  });

  it('does not start with any bit of its pointer flipped, or with a part of it', async () => {
    const disk = await withFile(content(10));
    await install(disk);
    const inode = disk.model.find('/db/current', 'read');
    const bytes = bytesOf(disk, '/db/current');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      inode.flipBit(bit >> 3, bit & 7);
      await expect(open(disk), `bit ${bit}`).rejects.toMatchObject({
        name: 'SnapshotError',
        code: 'corrupt',
      });
      inode.flipBit(bit >> 3, bit & 7);
    }
    for (let length = 0; length < bytes.length; length++) {
      inode.truncate(length);
      await expect(open(disk), `length ${length}`).rejects.toThrow(
        /pointer to the state in use.*Put the data/,
      );
      inode.write(0, bytes);
    }
    expect((await open(disk)).installed).toEqual(mark);
  });

  it('does not start without the state that it points to, or when pointer and first state are gone', async () => {
    const disk = await withFile(content(10));
    await install(disk);
    await disk.remove('/db/state-00000001.db');
    await expect(open(disk)).rejects.toThrow(/state-00000001.db, which it names, is missing/);
    const other = await withFile(content(10));
    await install(other);
    await other.remove('/db/current');
    await expect(open(other, 'first')).rejects.toThrow(/it is missing, and so is the first state/);
  });
});
