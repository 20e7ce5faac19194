import { cp, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type Disk, DiskError, type DiskFile } from '../platform/disk.js';
import { NodeDisk } from '../platform/node-disk.js';
import { type Backend } from './backend.js';
import { startLmdb, temporaryDirectory } from './lmdb-backend.fixture.js';

const roots: string[] = [];

afterEach(async () => {
  for (const root of roots.splice(0)) await rm(root, { recursive: true });
});

/** Called before each effect on the disk, with its name and place. */
type BeforeEffect = (effect: string) => Promise<void>;

/** A real disk that can be looked at before each effect. */
function observed(disk: NodeDisk, before: BeforeEffect): Disk {
  const wrap = <T extends object>(target: T, path: string): T =>
    new Proxy(target, {
      get: (_target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== 'function') return member;
        return async (...values: unknown[]) => {
          const place = typeof values[0] === 'string' ? values[0] : path;
          await before(`${String(name)} ${place}`);
          const result: unknown = await (member as (...all: unknown[]) => unknown).apply(target, values);
          return name === 'open' ? wrap(result as DiskFile, place) : result;
        };
      },
    });
  return wrap<Disk>(disk, '');
}

function apply(backend: Backend, last: number): void {
  for (let index = backend.applied.index + 1; index <= last; index++) {
    backend.put('head', `key ${index}`, Buffer.alloc(100, index));
    backend.appendLog(index, 0, Buffer.from(`row ${index}`));
    backend.setApplied({ index, term: 1 });
  }
}

function checkState(backend: Backend, index: number): void {
  expect(backend.applied).toEqual({ index, term: 1 });
  expect(backend.count('head', '', undefined)).toBe(index);
  for (let at = 1; at <= index; at++) expect(backend.get('head', `key ${at}`)?.[99]).toBe(at & 255);
  let rows = 0;
  backend.scanLog({ main: 0, sub: 0 }, undefined, () => void rows++);
  expect(rows).toBe(index);
}

/** A directory with the spool file `state` of entry 300. */
async function prepare(): Promise<string> {
  const root = await temporaryDirectory();
  roots.push(root);
  const sender = await startLmdb(join(root, 'sender'));
  apply(sender, 300);
  await sender.flush();
  await sender.copyTo(join(root, 'state'));
  await sender.close();
  return root;
}

const wanted = { index: 300, term: 1 };
const ignore = (): void => {};

describe('installing a state over LMDB', () => {
  it('leaves the old state or the new one when the process dies before any effect', async () => {
    const root = await prepare();
    const disk = new NodeDisk();
    const effects: string[] = [];
    let isRunning = false;
    // What a process that is started now would find.
    const keep = async (effect: string): Promise<void> => {
      if (!isRunning) return;
      effects.push(effect);
      await cp(join(root, 'db'), join(root, `db ${effects.length}`), { recursive: true });
    };
    const backend = await startLmdb(join(root, 'db'), { disk: observed(disk, keep) });
    apply(backend, 20);
    await backend.flush();
    isRunning = true;
    await backend.install(join(root, 'state'), wanted, ignore);
    await backend.close();
    isRunning = false;
    const renamed = effects.findIndex((effect) => effect.startsWith('rename'));
    expect(renamed).toBeGreaterThan(10);
    expect(effects.length).toBeGreaterThan(renamed + 3);
    for (let at = 0; at < effects.length; at++) {
      const directory = join(root, `db ${at + 1}`);
      const found = await startLmdb(directory, { disk });
      checkState(found, at <= renamed ? 20 : 300);
      apply(found, found.applied.index + 5);
      await found.flush();
      await found.close();
      const left = (await readdir(directory)).filter((name) => !name.endsWith('-lock'));
      expect(left, effects[at]).toEqual(at <= renamed ? ['state.lmdb'] : ['current', 'state-00000001.db']);
    }
    await disk.close();
  });

  it('goes on with the old state when any effect before the switch fails, and stops when the switch does', async () => {
    const root = await prepare();
    const disk = new NodeDisk();
    let countdown = Number.POSITIVE_INFINITY;
    let failed = '';
    const backend = await startLmdb(join(root, 'db'), {
      disk: observed(disk, (effect) => {
        if (effect.startsWith('close') || --countdown !== 0) return Promise.resolve();
        failed = effect;
        return Promise.reject(new DiskError('write', effect, 'EIO'));
      }),
    });
    const failures: Error[] = [];
    backend.onFailure = (error) => failures.push(error);
    apply(backend, 20);
    await backend.flush();
    let tries = 0;
    for (; failures.length === 0 && tries < 100; tries++) {
      countdown = tries + 1;
      failed = '';
      const outcome = await backend.install(join(root, 'state'), wanted, ignore).then(
        () => 'installed',
        (error: Error) => error.name,
      );
      countdown = Number.POSITIVE_INFINITY;
      if (failed === '' || failures.length > 0) continue;
      expect([failed, outcome]).toEqual([failed, 'DiskError']);
      checkState(backend, 20);
    }
    expect(tries).toBeGreaterThan(10);
    expect(failed).toMatch(/rename|syncDirectory/);
    await backend.close();
    await disk.close();
    await (await startLmdb(join(root, 'db'))).close();
  });

  it('refuses a directory whose pointer is damaged, or whose state is gone', async () => {
    const root = await prepare();
    const backend = await startLmdb(join(root, 'db'));
    await backend.install(join(root, 'state'), wanted, ignore);
    await backend.close();
    const broken = async (change: (directory: string) => Promise<void>): Promise<unknown> => {
      const directory = join(root, 'broken');
      await cp(join(root, 'db'), directory, { recursive: true });
      await change(directory);
      const error: unknown = await startLmdb(directory).then(
        async (started) => started.close(),
        (refusal: unknown) => refusal,
      );
      await rm(directory, { recursive: true });
      return error;
    };
    const damaged = { name: 'SnapshotError', code: 'corrupt' };
    expect(await broken((directory) => rm(join(directory, 'current')))).toMatchObject(damaged);
    expect(await broken((directory) => rm(join(directory, 'state-00000001.db')))).toMatchObject(damaged);
    const truncate = (directory: string): Promise<void> =>
      cp(join(root, 'state'), join(directory, 'current'));
    expect(await broken(truncate)).toMatchObject(damaged);
  });

  it('takes a state of many pages while the member goes on', async () => {
    const root = await temporaryDirectory();
    roots.push(root);
    await mkdir(join(root, 'spool'));
    const sender = await startLmdb(join(root, 'sender'), { generationRowsMax: 2_000 });
    for (let index = 1; index <= 20_000; index++) {
      sender.put('head', `key ${index % 7_000}`, Buffer.alloc(500, index));
      sender.setApplied({ index, term: 1 });
    }
    await sender.flush();
    const copying = sender.copyTo(join(root, 'spool', 'state'));
    let isCopied = false;
    void copying.then(() => (isCopied = true));
    let turns = 0;
    for (let index = 20_001; !isCopied; index++) {
      sender.put('head', `key ${index % 7_000}`, Buffer.alloc(500, index));
      sender.setApplied({ index, term: 1 });
      await new Promise((resolve) => setImmediate(resolve));
      turns++;
    }
    expect(turns).toBeGreaterThan(20);
    const { mark, bytes } = await copying;
    expect(mark.index).toBeGreaterThanOrEqual(20_000);
    expect(bytes).toBeGreaterThan(7_000 * 500);
    const backend = await startLmdb(join(root, 'db'));
    await backend.install(join(root, 'spool', 'state'), mark, ignore);
    expect(backend.count('head', '', undefined)).toBe(7_000);
    for (let index = mark.index - 6_999; index <= mark.index; index++) {
      expect(backend.get('head', `key ${index % 7_000}`)?.[499]).toBe(index & 255);
    }
    await backend.close();
    await sender.close();
  });
});
