import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DiskError, type Disk, type LogWriterListener } from './disk.js';
import { NodeDisk } from './node-disk.js';
import { SimulatedDisk } from './simulated-disk.js';

interface Place {
  readonly disk: Disk;
  readonly directory: string;
  remove(): void;
}

const places: Record<string, () => Place> = {
  'the disk of the machine': () => {
    const root = mkdtempSync(join(tmpdir(), 'disk-contract-'));
    const remove = (): void => rmSync(root, { recursive: true });
    return { disk: new NodeDisk(), directory: `${root}/a/b`, remove };
  },
  'the simulated disk': () => {
    const random = { below: () => 0, uint64: () => 0n };
    const disk = new SimulatedDisk({ schedule: (_effect, callback) => queueMicrotask(callback), random });
    return { disk, directory: '/root/a/b', remove: () => {} };
  },
};

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (content: Uint8Array): string => new TextDecoder().decode(content);

class Outcomes implements LogWriterListener {
  private readonly waiting: ((outcome: DiskError | 'written') => void)[] = [];

  next(): Promise<DiskError | 'written'> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  onWritten(writeMs: number, syncMs: number): void {
    expect(writeMs).toBeGreaterThanOrEqual(0);
    expect(syncMs).toBeGreaterThanOrEqual(0);
    this.waiting.shift()!('written');
  }

  onWriteFailed(error: DiskError): void {
    this.waiting.shift()!(error);
  }
}

describe.each(Object.entries(places))('%s', (_name, create) => {
  let place: Place;
  let disk: Disk;
  let path: (name: string) => string;

  beforeEach(async () => {
    place = create();
    disk = place.disk;
    path = (name) => `${place.directory}/${name}`;
    await disk.makeDirectory(place.directory);
  });

  afterEach(async () => {
    await disk.close();
    place.remove();
  });

  it('makes directories, twice without harm, and lists names in order', async () => {
    await disk.makeDirectory(place.directory);
    for (const name of ['c', 'a', 'b']) await (await disk.open(path(name), 'create')).close();
    expect(await disk.list(place.directory)).toEqual(['a', 'b', 'c']);
    await expect(disk.list(path('none'))).rejects.toMatchObject({ operation: 'list', code: 'ENOENT' });
  });

  it('creates only what is not there, and opens only what is', async () => {
    const file = await disk.open(path('x'), 'create');
    expect(await file.size()).toBe(0);
    await file.close();
    await file.close();
    await expect(disk.open(path('x'), 'create')).rejects.toMatchObject({ operation: 'open', code: 'EEXIST' });
    const missing = disk.open(path('y'), 'edit');
    await expect(missing).rejects.toMatchObject({ name: 'DiskError', code: 'ENOENT', path: path('y') });
    await expect(disk.open(path('y'), 'read')).rejects.toBeInstanceOf(DiskError);
  });

  it('writes anywhere, fills with zeros, truncates, and reads up to the end', async () => {
    const file = await disk.open(path('x'), 'create');
    const hello = bytes('hello');
    const written = file.write(3, hello);
    hello.fill(0);
    await written;
    expect(await file.size()).toBe(8);
    expect([...(await file.read(0, 4))]).toEqual([0, 0, 0, 'h'.charCodeAt(0)]);
    expect(text(await file.read(3, 100))).toBe('hello');
    expect(await file.read(8, 10)).toHaveLength(0);
    expect(await file.read(99, 10)).toHaveLength(0);
    await file.fill(4, 3_000_000);
    expect(await file.size()).toBe(3_000_004);
    expect([...(await file.read(3, 3))]).toEqual(['h'.charCodeAt(0), 0, 0]);
    await file.truncate(4);
    await file.sync();
    await file.truncate(6);
    expect([...(await file.read(0, 10))]).toEqual([0, 0, 0, 'h'.charCodeAt(0), 0, 0]);
    await file.close();
  });

  it('renames over what is there, and removes', async () => {
    for (const name of ['x', 'y']) {
      const file = await disk.open(path(name), 'create');
      await file.write(0, bytes(name));
      await file.close();
    }
    await disk.rename(path('x'), path('y'));
    await disk.syncDirectory(place.directory);
    expect(await disk.list(place.directory)).toEqual(['y']);
    const file = await disk.open(path('y'), 'read');
    expect(text(await file.read(0, 9))).toBe('x');
    await file.close();
    await disk.remove(path('y'));
    expect(await disk.list(place.directory)).toEqual([]);
    await expect(disk.remove(path('y'))).rejects.toMatchObject({ operation: 'remove', code: 'ENOENT' });
    await expect(disk.rename(path('y'), path('z'))).rejects.toMatchObject({
      operation: 'rename',
      code: 'ENOENT',
    });
  });

  it('appends with a log writer, one write after the other, with and without sync', async () => {
    const outcomes = new Outcomes();
    const writer = disk.openLogWriter(outcomes);
    const file = await disk.open(path('log'), 'create');
    const buffers = [writer.allocate(8), writer.allocate(8)];
    for (let i = 0; i < 20; i++) {
      const buffer = buffers[i % 2]!;
      buffer.bytes.set(bytes(String(i).padStart(8, '.')));
      writer.write(file, i * 8, buffer, 8, i % 3 > 0);
      expect(await outcomes.next()).toBe('written');
    }
    writer.release(buffers[0]!);
    const large = writer.allocate(100_000);
    expect(large.bytes.every((byte) => byte === 0)).toBe(true);
    large.bytes.fill(7);
    writer.write(file, 160, large, 100_000, true);
    expect(await outcomes.next()).toBe('written');
    writer.write(file, 0, large, 0, true);
    expect(await outcomes.next()).toBe('written');
    writer.close();
    writer.close();
    expect(text(await file.read(0, 160))).toBe(
      Array.from({ length: 20 }, (_, i) => String(i).padStart(8, '.')).join(''),
    );
    expect(await file.size()).toBe(100_160);
    await file.close();
  });

  it('has one log writer after another', async () => {
    for (let round = 0; round < 3; round++) {
      const outcomes = new Outcomes();
      const writer = disk.openLogWriter(outcomes);
      const file = await disk.open(path(`log${round}`), 'create');
      writer.write(file, 0, writer.allocate(16), 16, true);
      expect(await outcomes.next()).toBe('written');
      writer.close();
      await file.close();
    }
  });
});

describe('the disk of the machine', () => {
  it('says which write failed, where and why', async () => {
    const { disk, directory, remove } = places['the disk of the machine']!();
    await disk.makeDirectory(directory);
    const outcomes = new Outcomes();
    const writer = disk.openLogWriter(outcomes);
    await (await disk.open(`${directory}/x`, 'create')).close();
    const file = await disk.open(`${directory}/x`, 'read');
    writer.write(file, 24, writer.allocate(16), 16, true);
    const error = (await outcomes.next()) as DiskError;
    expect(error).toMatchObject({ operation: 'write', path: `${directory}/x`, code: 'EBADF', offset: 24 });
    await expect(file.write(8, new Uint8Array(4))).rejects.toMatchObject({ code: 'EBADF', offset: 8 });
    await file.close();
    await disk.close();
    remove();
  });
});
