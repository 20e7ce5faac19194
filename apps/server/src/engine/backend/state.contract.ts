import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Disk, type DiskFile } from '../platform/disk.js';
import { sealBytes } from '../snapshot/state-seal.js';
import { type AppliedMark, type Backend } from './backend.js';
import { type BackendHarness, disposeAfterEach, type HarnessMaker } from './backend-harness.fixture.js';
import { compareAll, history, Runner, text } from './backend.contract.js';

const ignore = (): void => {};

/** Applies entries up to `last`, each of which leaves its index in row `last` and a log row. */
function apply(backend: Backend, last: number, term = 1): void {
  for (let index = backend.applied.index + 1; index <= last; index++) {
    backend.put('head', 'last', Buffer.from(String(index)));
    backend.put('meta', `entry ${index % 5}`, Buffer.from(String(index)));
    backend.appendLog(index, 0, Buffer.from(`row ${index}`));
    backend.setApplied({ index, term });
  }
}

/** The state has to be that of exactly the entries 1 to `index`. */
function checkState(backend: Backend, index: number): void {
  expect(backend.applied.index).toBe(index);
  expect(text(backend.get('head', 'last'))).toBe(index === 0 ? undefined : String(index));
  const rows: number[] = [];
  backend.scanLog({ main: 0, sub: 0 }, undefined, (main) => void rows.push(main));
  expect(rows).toEqual(Array.from({ length: index }, (_, at) => at + 1));
}

async function flushed(harness: BackendHarness): Promise<void> {
  const durable = harness.backend.flush();
  await harness.settle();
  await durable;
}

/** A state file of the entries up to `index`, from a backend of its own. */
async function stateAt(harness: BackendHarness, index: number, name = `state ${index}`): Promise<string> {
  const source = await harness.another();
  apply(source.backend, index);
  await flushed(source);
  const path = `${harness.spool}/${name}`;
  expect((await source.backend.copyTo(path)).mark).toEqual({ index, term: 1 });
  return path;
}

type Change = (file: DiskFile, size: number) => Promise<void>;

/** A copy of a file with other bytes. */
async function changedCopy(disk: Disk, from: string, to: string, change: Change): Promise<string> {
  const [source, target] = [await disk.open(from, 'read'), await disk.open(to, 'create')];
  const size = await source.size();
  await target.write(0, await source.read(0, size));
  await change(target, size);
  await source.close();
  await target.close();
  return to;
}

async function flipBit(file: DiskFile, offset: number, bit: number): Promise<void> {
  const [byte] = await file.read(offset, 1);
  await file.write(offset, Uint8Array.of(byte ^ (1 << bit)));
}

/** What every backend does with whole states. `runs` histories are tried for each property. */
export function describeStateContract(name: string, make: HarnessMaker, runs: number): void {
  describe(`${name} with whole states`, () => {
    const start = disposeAfterEach(make);
    describeCopies(start);
    describeInstalls(start);
    describeRevocation(start);
    describeOrder(start);
    describeRefusals(start);
    describeHistories(make, runs);
  });
}

function describeCopies(start: HarnessMaker): void {
  it('copies what is flushed, and no more', async () => {
    const harness = await start(1000);
    const { backend } = harness;
    apply(backend, 5);
    await flushed(harness);
    apply(backend, 9);
    backend.put('head', 'half of an entry', Buffer.from('x'));
    const path = `${harness.spool}/copy`;
    const { mark, bytes } = await backend.copyTo(path);
    expect(mark).toEqual({ index: 5, term: 1 });
    expect(bytes).toBeGreaterThan(sealBytes);
    const other = await harness.another();
    await other.backend.install(path, mark, ignore);
    checkState(other.backend, 5);
    expect(other.backend.get('head', 'half of an entry')).toBeUndefined();
  });

  it('copies one boundary while writing and flushing go on', async () => {
    const harness = await start(7);
    const { backend } = harness;
    apply(backend, 20);
    await flushed(harness);
    const copies = [1, 2].map((number) => backend.copyTo(`${harness.spool}/${number}`));
    for (let last = 25; last <= 60; last += 5) {
      apply(backend, last);
      await harness.settle();
    }
    for (const [at, { mark }] of (await Promise.all(copies)).entries()) {
      expect(mark.index).toBeGreaterThanOrEqual(20);
      const other = await harness.another();
      await other.backend.install(`${harness.spool}/${at + 1}`, mark, ignore);
      checkState(other.backend, mark.index);
    }
    checkState(backend, 60);
  });

  it('replaces a file at the path of a copy, and leaves nothing else there', async () => {
    const harness = await start(1000);
    const path = await stateAt(harness, 3, 'same');
    await stateAt(harness, 6, 'same');
    await harness.backend.install(path, { index: 6, term: 1 }, ignore);
    checkState(harness.backend, 6);
    expect(await harness.disk.list(harness.spool)).toEqual(['same']);
  });

  it('says that a copy cannot be made, and goes on', async () => {
    const harness = await start(1000);
    apply(harness.backend, 2);
    await flushed(harness);
    await expect(harness.backend.copyTo(`${harness.spool}/is/not/there`)).rejects.toThrow(/ENOENT/);
    apply(harness.backend, 4);
    await flushed(harness);
    checkState(await harness.reopen(), 4);
  });
}

function describeInstalls(start: HarnessMaker): void {
  it('puts the new state in place at one moment, durably', async () => {
    const harness = await start(1000);
    const { backend } = harness;
    apply(backend, 4);
    await flushed(harness);
    const path = await stateAt(harness, 30);
    const marks: AppliedMark[] = [];
    backend.onFlushed = (mark) => marks.push(mark);
    let moments = 0;
    const installed = backend.install(path, { index: 30, term: 1 }, () => {
      moments++;
      checkState(backend, 30);
      expect(backend.flushed).toEqual({ index: 30, term: 1 });
      expect(backend.installed).toEqual({ index: 30, term: 1 });
      expect(backend.stats).toMatchObject({ flushLagEntries: 0, generationRows: 0 });
    });
    // The old state is read and written until then.
    checkState(backend, 4);
    apply(backend, 6);
    checkState(backend, 6);
    expect(backend.installed).toBeUndefined();
    await installed;
    expect(moments).toBe(1);
    expect(marks).toEqual([]);
    const survivor = await harness.reopen();
    checkState(survivor, 30);
    expect(survivor.installed).toEqual({ index: 30, term: 1 });
    expect(await harness.disk.list(harness.spool)).toContain('state 30');
  });

  it('goes on from the new state: with writes, flushes, copies and the next install', async () => {
    const harness = await start(3);
    const { backend } = harness;
    await backend.install(await stateAt(harness, 10), { index: 10, term: 1 }, ignore);
    expect(() => backend.appendLog(10, 0, Buffer.from('again'))).toThrow(/does not follow/);
    apply(backend, 17);
    await flushed(harness);
    expect(backend.flushed.index).toBe(17);
    const path = `${harness.spool}/onwards`;
    const { mark } = await backend.copyTo(path);
    expect(mark.index).toBe(17);
    const other = await harness.another();
    await other.backend.install(path, mark, ignore);
    checkState(other.backend, 17);
    await backend.install(await stateAt(harness, 40), { index: 40, term: 1 }, ignore);
    const survivor = await harness.reopen();
    checkState(survivor, 40);
    expect(survivor.installed?.index).toBe(40);
  });

  it('keeps what flush() promised, also to those who wait for it', async () => {
    const harness = await start(1000);
    const { backend } = harness;
    const path = await stateAt(harness, 20);
    apply(backend, 8);
    const durable = backend.flush();
    await backend.install(path, { index: 20, term: 1 }, ignore);
    await durable;
    expect(backend.flushed.index).toBe(20);
    await harness.settle();
    expect(backend.flushed.index).toBe(20);
    apply(backend, 22);
    await flushed(harness);
    checkState(await harness.reopen(), 22);
  });
}

function describeRevocation(start: HarnessMaker): void {
  it('gives an install up when it is not wanted any more, once all that may fail was done', async () => {
    const harness = await start(1000);
    const { backend } = harness;
    apply(backend, 4);
    const path = await stateAt(harness, 30);
    let asked = 0;
    const isWanted = (): boolean => {
      asked++;
      checkState(backend, 4);
      return false;
    };
    const wanted = { index: 30, term: 1 };
    const given = backend.install(path, wanted, () => expect.unreachable(), isWanted);
    await expect(given).rejects.toMatchObject({ name: 'SnapshotError', code: 'other state' });
    expect(asked).toBe(1);
    checkState(backend, 4);
    await backend.install(path, wanted, ignore, () => true);
    checkState(await harness.reopen(), 30);
  });
}

function describeOrder(start: HarnessMaker): void {
  it('rejects when what reads the new state fails, which is in use all the same', async () => {
    const harness = await start(1000);
    const path = await stateAt(harness, 5);
    const installed = harness.backend.install(path, { index: 5, term: 1 }, () => {
      throw new Error('cannot be read');
    });
    await expect(installed).rejects.toThrow('cannot be read');
    checkState(harness.backend, 5);
  });

  it('installs one state after the other, and none that is behind', async () => {
    const harness = await start(1000);
    const { backend } = harness;
    const [ten, twenty] = [await stateAt(harness, 10), await stateAt(harness, 20)];
    const order: number[] = [];
    const install = (path: string, index: number): Promise<void> =>
      backend.install(path, { index, term: 1 }, () => order.push(backend.applied.index));
    const results = await Promise.allSettled([install(ten, 10), install(twenty, 20), install(ten, 10)]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect(results[2]).toMatchObject({ reason: { name: 'SnapshotError', code: 'other state' } });
    expect(order).toEqual([10, 20]);
    checkState(backend, 20);
    checkState(await harness.reopen(), 20);
  });

  it('copies the old state or the new one, whole, while a state is installed', async () => {
    const harness = await start(1000);
    const { backend } = harness;
    apply(backend, 5);
    await flushed(harness);
    const path = await stateAt(harness, 50);
    const copies = [backend.copyTo(`${harness.spool}/0`)];
    await backend.install(path, { index: 50, term: 1 }, () => {
      copies.push(backend.copyTo(`${harness.spool}/1`));
    });
    for (const [at, { mark }] of (await Promise.all(copies)).entries()) {
      expect(mark.index).toBe([5, 50][at]);
      const other = await harness.another();
      await other.backend.install(`${harness.spool}/${at}`, mark, ignore);
      checkState(other.backend, mark.index);
    }
  });

  it('is whole when it is closed in the midst', async () => {
    const harness = await start(1000);
    const { backend } = harness;
    apply(backend, 5);
    await flushed(harness);
    const path = await stateAt(harness, 50);
    const copied = backend.copyTo(`${harness.spool}/late`).then(ignore, ignore);
    const installed = backend.install(path, { index: 50, term: 1 }, ignore);
    await Promise.all([backend.close(), copied, expect(installed).rejects.toThrow(/closing/)]);
    checkState(await harness.reopen(), 5);
  });
}

function describeRefusals(start: HarnessMaker): void {
  const good = { index: 30, term: 1 };
  const unchanged: Change = () => Promise.resolve();

  /**
   * Each change is made to a good file, which is then refused, and nothing has changed. After all of them the backend goes
   * on and takes a good file.
   */
  async function refuses(
    code: string,
    changes: readonly Change[],
    wanted: readonly AppliedMark[] = [good],
  ): Promise<void> {
    const harness = await start(1000);
    const { backend } = harness;
    backend.onFailure = () => expect.unreachable('the member can go on');
    apply(backend, 4);
    await flushed(harness);
    const path = await stateAt(harness, 30);
    const unused = (): void => expect.unreachable('it was not installed');
    for (const [at, change] of changes.entries()) {
      const bad = await changedCopy(harness.disk, path, `${path} changed ${at}`, change);
      for (const mark of wanted) {
        const refused = backend.install(bad, mark, unused);
        await expect(refused).rejects.toMatchObject({ name: 'SnapshotError', code });
        checkState(backend, 4);
      }
    }
    apply(backend, 7);
    await flushed(harness);
    await backend.install(path, good, ignore);
    checkState(await harness.reopen(), 30);
  }

  it('refuses a file that is damaged anywhere', async () => {
    await refuses('corrupt', [
      (file) => flipBit(file, 0, 0),
      (file, size) => flipBit(file, (size - sealBytes) >> 1, 3),
      (file, size) => flipBit(file, size - 1, 7),
    ]);
  });

  it('refuses a file that is incomplete, empty, or too long', async () => {
    await refuses('corrupt', [
      (file, size) => file.truncate(size - 1),
      (file, size) => file.truncate(size - sealBytes),
      (file) => file.truncate(0),
      (file, size) => file.write(size, new Uint8Array(1)),
    ]);
  });

  it('refuses a newer format, and says what to do', async () => {
    await refuses('newer format', [(file, size) => file.write(size - sealBytes + 4, Uint8Array.of(2))]);
  });

  it('refuses a state of another kind of store', async () => {
    await refuses('foreign', [
      async (file, size) => {
        const [kind] = await file.read(size - sealBytes + 5, 1);
        await file.write(size - sealBytes + 5, Uint8Array.of(3 - kind));
      },
    ]);
  });

  it('refuses a state that is not the one announced, or that is behind', async () => {
    const others = [
      { index: 31, term: 1 },
      { index: 30, term: 2 },
      { index: 4, term: 1 },
    ];
    await refuses('other state', [unchanged], others);
  });

  it('refuses a file that is not there', async () => {
    const harness = await start(1000);
    apply(harness.backend, 4);
    const missing = harness.backend.install(`${harness.spool}/none`, { index: 9, term: 1 }, ignore);
    await expect(missing).rejects.toMatchObject({ name: 'DiskError', code: 'ENOENT' });
    checkState(harness.backend, 4);
  });
}

function describeHistories(make: HarnessMaker, runs: number): void {
  it('carries over any history, whatever the receiver had', async () => {
    const rowsMax = fc.integer({ min: 1, max: 25 });
    const property = fc.asyncProperty(history, history, rowsMax, async (sent, had, rows) => {
      const source = await make(rows);
      try {
        const sender = new Runner(source);
        await sender.run(sent);
        await source.settle();
        const target = await source.another();
        const receiver = new Runner(target);
        await receiver.run(had);
        const path = `${source.spool}/state`;
        const { mark } = await source.backend.copyTo(path);
        expect(mark).toEqual(source.backend.flushed);
        const isAhead = mark.index > target.backend.applied.index;
        const installed = target.backend.install(path, mark, ignore);
        if (!isAhead) {
          await expect(installed).rejects.toMatchObject({ code: 'other state' });
          compareAll(target.backend, receiver.model);
          return;
        }
        await installed;
        compareAll(target.backend, sender.boundaries[mark.index]);
        compareAll(await target.reopen(), sender.boundaries[mark.index]);
      } finally {
        await source.dispose();
      }
    });
    await fc.assert(property, { numRuns: runs });
  });
}
