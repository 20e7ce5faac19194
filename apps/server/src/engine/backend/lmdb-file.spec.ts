import { open as openLmdb } from 'lmdb';
import { mkdir, open, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../platform/manual-clock.js';
import { type BackendError } from './backend-error.js';
import { flushesToEnd, startLmdb, temporaryDirectory } from './lmdb-backend.fixture.js';
import { type LmdbBackend } from './lmdb-backend.js';
import { encodeFormat, FILE_FORMAT } from './schema.js';

const MEBIBYTE = 1024 * 1024;
const directories: string[] = [];

async function directory(): Promise<string> {
  const path = await temporaryDirectory();
  directories.push(path);
  return path;
}

afterEach(async () => {
  for (const path of directories.splice(0)) await rm(path, { recursive: true });
});

async function errorOf(start: Promise<LmdbBackend>): Promise<BackendError> {
  return start.then(
    async (backend) => {
      await backend.close();
      throw new Error('the file was opened');
    },
    (error: BackendError) => error,
  );
}

function write(backend: LmdbBackend, index: number, bytes: number): void {
  backend.put('head', `key ${index}`, Buffer.alloc(bytes, index));
  backend.setApplied({ index, term: 1 });
}

describe('opening', () => {
  it('makes the directory and the file', async () => {
    const path = join(await directory(), 'a', 'b');
    const backend = await startLmdb(path);
    expect(backend.applied).toEqual({ index: 0, term: 0 });
    await backend.close();
    expect(await readdir(path)).toContain('state.lmdb');
  });

  it('refuses a file of a newer format and says what to do', async () => {
    const path = await directory();
    await (await startLmdb(path)).close();
    const root = openLmdb({
      path: join(path, 'state.lmdb'),
      noSubdir: true,
      encoding: 'binary',
      mapSize: MEBIBYTE,
      overlappingSync: false,
    });
    const keyEncoder = {
      writeKey: (key: string, target: Buffer, at: number): number => at + target.write(key, at, 'latin1'),
      readKey: (source: Buffer, start: number, end: number): string => source.toString('latin1', start, end),
    };
    const settings = { name: 'state', keyEncoder };
    root.openDB<Uint8Array, string>(settings).putSync('format', encodeFormat(FILE_FORMAT + 1));
    await root.close();
    const error = await errorOf(startLmdb(path));
    expect(error.code).toBe('newer-format');
    expect(error.message).toMatch(/format 2, .* up to 1\. Start the version that wrote it/);
  });

  it('refuses files that are not its own', async () => {
    const text = await directory();
    await writeFile(join(text, 'state.lmdb'), 'not a database at all '.repeat(1000));
    expect((await errorOf(startLmdb(text))).code).toBe('foreign-file');

    const short = await directory();
    await writeFile(join(short, 'state.lmdb'), 'x');
    expect((await errorOf(startLmdb(short))).code).toBe('foreign-file');

    const other = await directory();
    const root = openLmdb({
      path: join(other, 'state.lmdb'),
      noSubdir: true,
      mapSize: MEBIBYTE,
      overlappingSync: false,
    });
    await root.put('somebody', 'else');
    await root.close();
    expect((await errorOf(startLmdb(other))).code).toBe('foreign-file');
  });

  it('starts an empty file anew: that is what a crash right after creation leaves', async () => {
    const path = await directory();
    await mkdir(path, { recursive: true });
    await writeFile(join(path, 'state.lmdb'), '');
    const backend = await startLmdb(path);
    expect(backend.count('head', '', undefined)).toBe(0);
    await backend.close();
  });

  it('reports a file that was cut off as damaged, and does not die of it', async () => {
    const path = await directory();
    const backend = await startLmdb(path);
    for (let index = 1; index <= 200; index++) write(backend, index, 3000);
    await backend.flush();
    await backend.close();
    const file = join(path, 'state.lmdb');
    await truncate(file, 5 * 4096);
    let code: string | undefined;
    try {
      const damaged = await startLmdb(path);
      try {
        for (let index = 1; index <= 200; index++) damaged.get('head', `key ${index}`);
      } finally {
        await damaged.close();
      }
    } catch (error) {
      ({ code } = error as BackendError);
    }
    expect(code).toBe('damaged-file');
  });

  it('reports an unreadable applied mark as damage', async () => {
    const path = await directory();
    const backend = await startLmdb(path);
    for (let index = 1; index <= 3; index++) write(backend, 0xabcdef, 10);
    await backend.flush();
    await backend.close();
    const file = await open(join(path, 'state.lmdb'), 'r+');
    const bytes = Buffer.alloc((await file.stat()).size);
    await file.read(bytes, 0, bytes.length, 0);
    const mark = Buffer.from('0000000000abcdef0000000000000001', 'hex');
    for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + 1))
      await file.write(Buffer.from([9]), 0, 1, at);
    await file.close();
    const error = await errorOf(startLmdb(path));
    expect(error.code).toBe('damaged-file');
    expect(error.message).toMatch(/applied index.*Restore the member/);
  });
});

describe('flushing', () => {
  it('follows rows, bytes and age', async () => {
    const clock = new ManualClock();
    const backend = await startLmdb(await directory(), {
      clock,
      generationRowsMax: 3,
      generationBytesMax: MEBIBYTE,
    });
    write(backend, 1, 10);
    write(backend, 2, 10);
    expect(backend.isFlushing).toBe(false);
    clock.advance(1_999);
    expect(backend.isFlushing).toBe(false);
    clock.advance(1);
    expect(backend.isFlushing).toBe(true);
    await flushesToEnd(backend);
    expect(backend.flushed.index).toBe(2);
    for (let index = 3; index <= 5; index++) write(backend, index, 10);
    await flushesToEnd(backend);
    expect(backend.flushed.index).toBe(5);
    write(backend, 6, 2 * MEBIBYTE);
    await flushesToEnd(backend);
    expect(backend.flushed.index).toBe(6);
    expect(backend.get('head', 'key 6')?.length).toBe(2 * MEBIBYTE);
    await backend.close();
  });

  it('lets the open generation grow while another is flushed, and asks to push back', async () => {
    const backend = await startLmdb(await directory(), { generationRowsMax: 1, pushBackBytes: 64 * 1024 });
    for (let index = 1; index <= 100; index++) write(backend, index, 1000);
    expect(backend.stats.mustPushBack).toBe(true);
    expect(backend.stats.flushLagEntries).toBe(100);
    expect(backend.stats.generationRows).toBe(100);
    await flushesToEnd(backend);
    expect(backend.stats.mustPushBack).toBe(false);
    expect(backend.flushed.index).toBe(100);
    await backend.close();
  });

  it('goes on when the file outgrows the map that was reserved for it', async () => {
    const path = await directory();
    const backend = await startLmdb(path, { mapBytes: 2 * MEBIBYTE, generationBytesMax: MEBIBYTE });
    for (let index = 1; index <= 40; index++) write(backend, index, 200_000);
    await backend.flush();
    expect(backend.stats.fileBytes).toBeGreaterThan(4 * MEBIBYTE);
    for (let index = 1; index <= 40; index++)
      expect(backend.get('head', `key ${index}`)?.[199_999]).toBe(index);
    await backend.close();
    const again = await startLmdb(path, { mapBytes: 2 * MEBIBYTE });
    expect(again.count('head', '', undefined)).toBe(40);
    await again.close();
  });

  it('uses freed pages again', async () => {
    const backend = await startLmdb(await directory(), { generationRowsMax: 1000 });
    const sizes: number[] = [];
    for (let round = 0; round < 12; round++) {
      for (let at = 0; at < 1000; at++) backend.put('head', `key ${at}`, Buffer.alloc(200, round));
      backend.setApplied({ index: round + 1, term: 1 });
      await flushesToEnd(backend);
      sizes.push(backend.stats.fileBytes);
    }
    expect(sizes[11]).toBe(sizes[5]);
    expect(backend.stats.usedBytes).toBeLessThan(sizes[11]);
    await backend.close();
  });
});
