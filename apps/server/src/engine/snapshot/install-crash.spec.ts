import { describe, expect, it } from 'vitest';
import { type Backend } from '../backend/backend.js';
import { MemoryBackend } from '../backend/memory-backend.js';
import { type SimulatedDisk } from '../platform/simulated-disk.js';
import { type DiskModel } from '../platform/simulated-disk-model.js';
import { type HardState } from '../raft/message.js';
import { interruptedRestart, restartLog } from '../wal/log-restart.js';
import { emptyConfState } from '../wal/state.js';
import { fixtureEntries, SeededRandom, silentLogger, walFixture } from '../wal/wal-fixture.js';
import { Wal } from '../wal/wal.js';

/**
 * A member applies entries 1 to 10 of term 1, and is then sent the state of entry 30, term 3. Its process dies, or the
 * machine loses power, before any effect on the disk; and again before any effect of the recovery.
 */
const had = 10;
const sent = { index: 30, term: 3 };
const path = '/spool/state';
const confState = { ...emptyConfState, voters: [1n, 2n] };
const voted: HardState = { term: 2, vote: 7n, commit: had };

interface Member {
  readonly backend: MemoryBackend;
  readonly wal: Wal;
}

/** Starts a member on a disk as its storage does. */
async function open(disk: SimulatedDisk, survivor: MemoryBackend): Promise<Member> {
  const backend = await MemoryBackend.recover(survivor);
  const { options } = walFixture();
  const create = backend.applied.index === 0;
  const wal = await Wal.open({ ...options, disk, create, segmentBytes: 4096, bufferBytes: 4096 });
  if (wal.recovered !== undefined) {
    const { applied, installed } = backend;
    const restart = interruptedRestart(wal.recovered, { applied, installed, confState });
    if (restart !== undefined) await restartLog(wal, restart);
  }
  return { backend, wal };
}

function states(disk: SimulatedDisk) {
  return { states: { disk, directory: '/db', logger: silentLogger } };
}

function apply(backend: Backend, last: number, term: number): void {
  for (let index = backend.applied.index + 1; index <= last; index++) {
    backend.put('head', 'last', Buffer.from(String(index)));
    backend.appendLog(index, 0, Buffer.from(`row ${index}`));
    backend.setApplied({ index, term });
  }
}

function append(wal: Wal, hardState: HardState, last = 0): Promise<void> {
  return new Promise((resolve) => {
    wal.append({ hardState, entries: last === 0 ? [] : fixtureEntries(1, last, 1), mustSync: true }, resolve);
  });
}

/** A member with its entries, and the file beside it. */
async function prepare(disk: SimulatedDisk): Promise<Member> {
  await disk.makeDirectory('/spool');
  const sender = new MemoryBackend({ states: { disk, directory: '/other', logger: silentLogger } });
  apply(sender, sent.index, sent.term);
  await sender.flush();
  await sender.copyTo(path);
  const member = await open(disk, new MemoryBackend(states(disk)));
  await append(member.wal, { term: 1, vote: 7n, commit: 0 }, had);
  apply(member.backend, 6, 1);
  await member.backend.flush();
  apply(member.backend, had, 1);
  return member;
}

/** What a member does with a state that arrived, in the order that makes it recoverable. */
async function install({ backend, wal }: Member, reached: (step: 'voted' | 'done') => void): Promise<void> {
  await append(wal, voted);
  reached('voted');
  await backend.install(path, sent, () => {});
  const mark = { ...sent, confState };
  await new Promise<void>((resolve) => wal.restartAfter(mark, resolve));
  reached('done');
}

/** Runs until the disk dies before its effect number `stopAt`; false when the run ended before. */
async function runUntil(disk: SimulatedDisk, stopAt: number, run: () => Promise<unknown>): Promise<boolean> {
  let effects = 0;
  const died = new Promise<boolean>((resolve) => {
    disk.onEffect = () => {
      if (++effects !== stopAt) return;
      disk.crash();
      resolve(true);
    };
  });
  return Promise.race([died, run().then(() => false)]);
}

/** The state has to be whole, and log and store have to belong together. Returns which state it is. */
function judge({ backend, wal }: Member, reached: ReadonlySet<string>): string | undefined {
  const { index, term } = backend.applied;
  const rows: number[] = [];
  backend.scanLog({ main: 0, sub: 0 }, undefined, (main) => void rows.push(main));
  if (rows.length !== index || Buffer.from(backend.get('head', 'last') ?? []).toString() !== String(index)) {
    return `the state of entry ${index} has ${rows.length} rows`;
  }
  const isNew = index === sent.index && term === sent.term;
  if (!isNew && (index < 6 || index > had)) return `entry ${index} is applied`;
  if (!isNew && reached.has('done')) return 'the installed state is gone';
  if ((backend.installed !== undefined) !== isNew) return 'installed is wrong';
  const log = wal.recovered;
  if (log === undefined) return 'the log is gone';
  if (isNew) return undefined;
  const { hardState, entries, mark } = log;
  if (mark.index > 0 || entries.length !== had) return `an old state with a log of ${entries.length} entries`;
  if (reached.has('voted') && (hardState.term !== voted.term || hardState.vote !== voted.vote))
    return 'vote lost';
  return undefined;
}

/** The log as the next start finds it, which has to follow the state. */
async function judgeLog(model: DiskModel, { backend }: Member): Promise<string | undefined> {
  const next = walFixture(model);
  const wal = await next.open({ create: false });
  const { mark, hardState, entries } = wal.recovered!;
  await wal.close();
  if (backend.applied.index !== sent.index) return undefined;
  if (mark.index !== sent.index || mark.term !== sent.term || entries.length > 0) {
    return `a new state with a log from ${mark.index}, term ${mark.term}, of ${entries.length} entries`;
  }
  if (hardState.term < voted.term) return `term ${hardState.term} was stored once more`;
  if (hardState.term === voted.term && hardState.vote !== voted.vote) return 'the vote is gone';
  return undefined;
}

interface Outcome {
  readonly violations: readonly string[];
  readonly old: number;
  readonly fresh: number;
  /** Number of effects that could be the last one. */
  readonly effects: number;
}

/** `cripple` plants a bug into the disk of the first process. */
async function enumerate(seeds: number, cripple: (disk: SimulatedDisk) => void = () => {}): Promise<Outcome> {
  const violations: string[] = [];
  let [old, fresh, effects] = [0, 0, 0];
  for (let stopAt = 1; effects === 0; stopAt++) {
    for (let seed = 0; seed < seeds; seed++) {
      const random = new SeededRandom(stopAt * 1000 + seed);
      const { disk } = walFixture();
      const member = await prepare(disk);
      cripple(disk);
      const reached = new Set<string>();
      const died = await runUntil(disk, stopAt, () => install(member, (step) => reached.add(step)));
      if (!died) effects = stopAt - 1;
      try {
        const outcome = await recoverTwice(disk, member.backend, reached, random, seed);
        if (outcome.violation !== undefined)
          violations.push(`effect ${stopAt}, seed ${seed}: ${outcome.violation}`);
        if (outcome.isNew) fresh++;
        else old++;
      } catch (error) {
        violations.push(`effect ${stopAt}, seed ${seed}: ${String(error)}`);
      }
    }
  }
  return { violations, old, fresh, effects };
}

/**
 * Recovers, dies before some effect of that, and recovers again. Seed 0 is a process that is killed, twice: nothing is
 * lost. With the next three it is killed, and then the machine loses its power, too.
 */
async function recoverTwice(
  disk: SimulatedDisk,
  backend: MemoryBackend,
  reached: ReadonlySet<string>,
  random: SeededRandom,
  seed: number,
): Promise<{ violation: string | undefined; isNew: boolean }> {
  const lose = (model: DiskModel, isKilled: boolean): DiskModel =>
    isKilled ? model.clone() : model.crash((options) => random.below(options), random);
  disk.crash();
  const first = walFixture(lose(disk.model, seed < 4)).disk;
  const survivor = backend.crash((marks) => random.below(marks.length), states(first));
  let member: Member | undefined;
  await runUntil(first, 1 + random.below(40), async () => (member = await open(first, survivor)));
  first.crash();
  const second = walFixture(lose(first.model, seed === 0)).disk;
  const again = (member?.backend ?? survivor).crash((marks) => random.below(marks.length), states(second));
  const last = await open(second, again);
  const isNew = last.backend.applied.index === sent.index;
  second.crash();
  const violation =
    judge(last, reached) ??
    (await judgeLog(
      second.model.crash(() => 0),
      last,
    ));
  return { violation, isNew };
}

describe('a crash before every effect of an install', () => {
  it('leaves the old state with its log, or the new one with a log that begins there', async () => {
    const { violations, old, fresh, effects } = await enumerate(12);
    expect(violations).toEqual([]);
    expect(effects).toBeGreaterThan(15);
    expect(old).toBeGreaterThan(50);
    expect(fresh).toBeGreaterThan(20);
  });
});

describe('planted bugs are found by the same enumeration', () => {
  it('a directory that is never synced', async () => {
    const { violations } = await enumerate(12, (disk) => (disk.syncDirectory = () => Promise.resolve()));
    expect(violations.length).toBeGreaterThan(0);
  });

  it('files that are never synced', async () => {
    const { violations } = await enumerate(12, (disk) => {
      const openFile = disk.open.bind(disk);
      disk.open = async (name, mode) => {
        const file = await openFile(name, mode);
        if (!name.startsWith('/db/')) return file;
        file.sync = () => Promise.resolve();
        return file;
      };
    });
    expect(violations.length).toBeGreaterThan(0);
  });

  it('a log that is restarted before the state is durable', async () => {
    const restartFirst = async ({ backend, wal }: Member): Promise<void> => {
      await new Promise<void>((resolve) => wal.restartAfter({ ...sent, confState }, resolve));
      await backend.install(path, sent, () => {});
    };
    const { disk } = walFixture();
    const member = await prepare(disk);
    await runUntil(disk, 10, () => restartFirst(member));
    const { violation } = await recoverTwice(disk, member.backend, new Set(), new SeededRandom(1), 0);
    expect(violation).toMatch(/an old state with a log/);
  });
});
