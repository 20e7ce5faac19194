import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CacheFiles, nodeCacheFiles } from './cache-files.js';
import { type CachedState } from './cache-store.js';
import { fileCache, type FileCacheOptions } from './file-cache.js';
import { type ConfigWarning } from './warning.js';

const id = ['config', 'dev', 'shop'];
const name = 'config+dev+shop.cache';
const state: CachedState = {
  clusterId: 2n ** 64n - 1n,
  revision: 9007199254740993n,
  savedAt: 1_700_000_000_000,
  entries: [
    { key: '/conclave/a', value: Buffer.from([0, 255, 10]), modRevision: 9007199254740993n },
    { key: 'secret/b', value: Buffer.from('hunter2'), modRevision: 7n },
  ],
};
const secret = { secrets: (key: string) => key.startsWith('secret/'), key: Buffer.alloc(32, 7) };

describe('P31 the file cache', () => {
  let directory: string;
  let warnings: ConfigWarning[];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'file-cache-'));
    warnings = [];
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const cacheWith = (options: Partial<FileCacheOptions> = {}) =>
    fileCache({ directory, onWarning: (warning) => warnings.push(warning), ...options });

  it('P31 keeps a state, its cluster id and its revision, in a file that only its owner can read', async () => {
    await cacheWith().save(id, state);
    expect(readdirSync(directory)).toEqual([name]);
    expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
    expect(await cacheWith().load(id)).toEqual(state);
    expect(warnings).toEqual([]);
  });

  it('tightens the mode of a file that was there, and of the folder that it makes', async () => {
    const folder = join(directory, 'new', 'folder');
    await cacheWith({ directory: folder }).save(id, state);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    chmodSync(join(folder, name), 0o644);
    await cacheWith({ directory: folder }).save(id, state);
    expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
  });

  it('has nothing to say when there is no file', async () => {
    expect(await cacheWith().load(id)).toBeUndefined();
    expect(await cacheWith().pinned?.(id)).toBeUndefined();
    expect(warnings).toEqual([]);
  });

  it('replaces the state as a whole: deleted keys are gone', async () => {
    const cache = cacheWith();
    await cache.save(id, state);
    await cache.save(id, { ...state, entries: state.entries.slice(0, 1) });
    expect((await cache.load(id))?.entries.map((entry) => entry.key)).toEqual(['/conclave/a']);
    expect(readFileSync(join(directory, name), 'utf8')).not.toContain('secret/b');
  });

  it('P31 leaves secrets out without a key, and encrypts them with one', async () => {
    await cacheWith({ secrets: secret.secrets }).save(id, state);
    expect((await cacheWith().load(id))?.entries.map((entry) => entry.key)).toEqual(['/conclave/a']);
    await cacheWith(secret).save(id, state);
    const text = readFileSync(join(directory, name), 'utf8');
    expect(text).not.toContain(Buffer.from('hunter2').toString('base64'));
    expect(await cacheWith(secret).load(id)).toEqual(state);
    const other = await cacheWith({ ...secret, key: Buffer.alloc(32, 8) }).load(id);
    expect(other?.entries.map((entry) => entry.key)).toEqual(['/conclave/a']);
    expect(warnings.map((warning) => warning.code)).toEqual(['cache-unusable']);
    expect(() => fileCache({ key: Buffer.alloc(16) })).toThrow('AES-256 needs 32');
  });

  it('a sealed value opens for its own id and key only', async () => {
    await cacheWith(secret).save(id, { ...state, entries: state.entries.slice(1) });
    const path = join(directory, name);
    const [, body = ''] = readFileSync(path, 'utf8').split('\n');
    const moved = body.replace('secret/b', 'secret/c');
    const { createHash } = await import('node:crypto');
    const sha256 = createHash('sha256').update(moved).digest('hex');
    writeFileSync(path, `${JSON.stringify({ 'conclave-cache': 1, sha256 })}\n${moved}\n`);
    expect((await cacheWith(secret).load(id))?.entries).toEqual([]);
  });

  it('says of any damage that the file is not used', async () => {
    await cacheWith().save(id, state);
    const path = join(directory, name);
    const good = readFileSync(path);
    let refused = 0;
    for (let at = 0; at < good.length; at += 1) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 1;
      writeFileSync(path, bad);
      const loaded = await cacheWith().load(id);
      if (loaded === undefined) refused += 1;
      else expect(loaded).toEqual(state);
      writeFileSync(path, good.subarray(0, at));
      expect(await cacheWith().load(id)).toBeUndefined();
    }
    expect(refused).toBeGreaterThan(good.length - 5);
    expect(warnings[0]?.message).toContain(path);
  });

  it('refuses the file of another id and of a newer format', async () => {
    const path = join(directory, name);
    await cacheWith().save(id, state);
    writeFileSync(join(directory, 'config+dev+other.cache'), readFileSync(path));
    expect(await cacheWith().load(['config', 'dev', 'other'])).toBeUndefined();
    writeFileSync(path, readFileSync(path, 'utf8').replace('"conclave-cache":1', '"conclave-cache":2'));
    expect(await cacheWith().load(id)).toBeUndefined();
    expect(warnings.map((warning) => warning.message.replace(/^.* is not used: /, ''))).toEqual([
      'it is the cache of something else; remove it if it stays so',
      'its format version 2 is newer than 1, which this program writes; remove it if it stays so',
    ]);
  });

  it('P31 a crash at any moment leaves the old or the new state whole, and the new one is durable once saved', async () => {
    await cacheWith().save(id, state);
    const newer = { ...state, revision: state.revision + 1n };
    const steps: string[] = [];
    for (let crashAt = 0; crashAt < 6; crashAt += 1) {
      await cacheWith().save(id, state);
      await cacheWith({ files: stoppingAt(crashAt, steps) }).save(id, newer);
      const found = await cacheWith().load(id);
      expect([state.revision, newer.revision]).toContain(found?.revision);
    }
    expect(steps.slice(-4)).toEqual(['makeFolder', 'write', 'rename', 'syncFolder']);
    expect(readdirSync(directory)).toEqual([name]);
  });

  it('writes one state at a time, and of those that wait the newest only', async () => {
    const written: bigint[] = [];
    const files: CacheFiles = {
      ...nodeCacheFiles,
      write: (path, content) => {
        written.push(BigInt(/"revision":"(\d+)"/.exec(Buffer.from(content).toString())?.[1] ?? 0));
        return nodeCacheFiles.write(path, content);
      },
    };
    const cache = cacheWith({ files });
    await Promise.all([1n, 2n, 3n, 4n].map((revision) => cache.save(id, { ...state, revision })));
    expect(written).toEqual([1n, 4n]);
    expect((await cache.load(id))?.revision).toBe(4n);
  });

  it('a folder that cannot be written is a warning', async () => {
    writeFileSync(join(directory, 'file'), '');
    await cacheWith({ directory: join(directory, 'file', 'x') }).save(id, state);
    expect(warnings.map((warning) => warning.code)).toEqual(['cache-not-written']);
    expect(existsSync(join(directory, name))).toBe(false);
  });

  it('reads what an operator pinned, and says what is wrong with it', async () => {
    const path = join(directory, 'config+dev+shop.pinned.json');
    writeFileSync(path, '{ "version": 1, "entries": { "billing": { "format": "text", "content": "x" } } }');
    expect(await cacheWith().pinned?.(id)).toEqual({
      source: path,
      entries: new Map([['billing', { format: 'text', content: 'x' }]]),
    });
    for (const text of ['{', '[]', '{"version": 2, "entries": {}}', '{"version": 1, "entries": []}']) {
      writeFileSync(path, text);
      expect(await cacheWith().pinned?.(id)).toBeUndefined();
    }
    expect(warnings.map((warning) => warning.code)).toEqual(
      Array.from({ length: 4 }, () => 'pinned-unusable'),
    );
  });
});

/** Files that fail from the given step on, as a process that is gone does; only its temporary file is cleaned up. */
function stoppingAt(step: number, steps: string[]): CacheFiles {
  let count = 0;
  const guarded = <A extends unknown[]>(operation: string, run: (...args: A) => Promise<void>) => {
    return async (...args: A): Promise<void> => {
      if (count >= step) throw new Error('crash');
      count += 1;
      steps.push(operation);
      await run(...args);
    };
  };
  return {
    ...nodeCacheFiles,
    makeFolder: guarded('makeFolder', (path: string, own: boolean) => nodeCacheFiles.makeFolder(path, own)),
    write: guarded('write', (path: string, content: Uint8Array) => nodeCacheFiles.write(path, content)),
    rename: guarded('rename', (from: string, to: string) => nodeCacheFiles.rename(from, to)),
    syncFolder: guarded('syncFolder', (path: string) => nodeCacheFiles.syncFolder(path)),
  };
}
