import { describe, expect, it } from 'vitest';
import { ClusterState } from './apply/cluster-state.js';
import { MemoryBackend } from './backend/memory-backend.js';
import type { EngineOptions } from './engine-options.js';
import { type EnginePlatform, openStorage } from './engine-storage.js';
import type { SimulatedDisk } from './platform/simulated-disk.js';
import { emptyConfState, emptyHardState } from './wal/state.js';
import {
  appendNow,
  fixtureEntries,
  SeededRandom,
  silentLogger,
  silentMeter,
  walFixture,
} from './wal/wal-fixture.js';

/** A member joins a running cluster: its log is empty until it is sent a state, here that of entry 30, term 3. */
const sent = { index: 30, term: 3 };
const path = '/spool/state';
const confState = { ...emptyConfState, voters: [1n, 2n, 3n], learners: [4n] };

const options: EngineOptions = {
  directory: '/data',
  name: 'joiner',
  clusterId: 7n,
  memberId: 4n,
  foundingMembers: [],
  peerUrls: ['http://peer-4'],
  clientUrls: ['http://client-4'],
  heartbeatMs: 100,
  electionMs: 1_000,
  limits: { maxRequestBytes: 1_572_864, maxTxnOps: 128, quotaBackendBytes: 0, minLeaseTtlSeconds: 2 },
  autoCompaction: { mode: 'periodic', retention: 0 },
  watchProgressIntervalMs: 600_000,
  walSegmentBytes: 16 * 1024,
  walBatchBytes: 8 * 1024,
};

/** The machine of a member: its disk, and the store as the last process left it. */
class Machine {
  readonly disk: SimulatedDisk;
  readonly held: string[] = [];
  private readonly platform: EnginePlatform;
  private backend: MemoryBackend;

  constructor() {
    const { disk, clock } = walFixture();
    this.disk = disk;
    this.backend = new MemoryBackend({ states: { disk, directory: '/data/db', logger: silentLogger } });
    this.platform = {
      clock,
      disk,
      random: new SeededRandom(3),
      logger: silentLogger,
      meter: silentMeter,
      openBackend: async () => (this.backend = await MemoryBackend.recover(this.backend)),
      lockDirectory: (directory) => {
        this.held.push(directory);
        return Promise.resolve({ release: () => Promise.resolve(void this.held.pop()) });
      },
    };
  }

  start() {
    return openStorage(options, this.platform);
  }

  /** The process dies; of the store remains what was flushed or installed. */
  crash(): void {
    this.backend = this.backend.crash(() => 0);
  }

  /** Puts the state of another member where received states lie. */
  async receive(): Promise<void> {
    const { disk } = this;
    await disk.makeDirectory('/spool');
    const sender = new MemoryBackend({ states: { disk, directory: '/other', logger: silentLogger } });
    ClusterState.found(sender, [{ id: 1n, name: 'a', peerUrls: ['http://peer-1'] }], confState);
    sender.setApplied(sent);
    await sender.flush();
    await sender.copyTo(path);
  }
}

describe('the storage of a member that joins', () => {
  it('has no configuration before a state arrives, however often it is started', async () => {
    const machine = new Machine();
    for (let start = 1; start <= 3; start++) {
      const storage = await machine.start();
      expect(storage.recovered).toEqual({
        hardState: emptyHardState,
        confState: emptyConfState,
        snapshotIndex: 0,
        snapshotTerm: 0,
        entries: [],
        applied: 0,
      });
      await storage.close();
      expect(machine.held).toEqual([]);
      machine.crash();
    }
  });

  it('goes on from the installed state, when a crash came before the log was restarted after it', async () => {
    const machine = new Machine();
    await machine.receive();
    const first = await machine.start();
    await first.backend.install(path, sent, () => {});
    await first.close();
    machine.crash();

    const installed = {
      hardState: { term: 3, vote: 0n, commit: 30 },
      confState,
      snapshotIndex: 30,
      snapshotTerm: 3,
      applied: 30,
    };
    const second = await machine.start();
    expect(second.backend.applied).toEqual(sent);
    expect(second.recovered).toEqual({ ...installed, entries: [] });
    // The log takes what comes next, and the next start finds it behind the state.
    const next = fixtureEntries(31, 33, 4);
    await appendNow(second.wal, next, 4);
    await second.close();
    machine.crash();

    const third = await machine.start();
    expect(third.recovered).toEqual({
      ...installed,
      hardState: { term: 4, vote: 0n, commit: 33 },
      entries: next,
    });
    expect(third.backend.installed).toEqual(sent);
    await third.close();
  });

  it('is refused, and nothing stays locked, when the log of the installed state is gone', async () => {
    const machine = new Machine();
    await machine.receive();
    const first = await machine.start();
    await first.backend.install(path, sent, () => {});
    await first.close();
    machine.crash();
    for (const name of await machine.disk.list('/data/wal')) await machine.disk.remove(`/data/wal/${name}`);
    await expect(machine.start()).rejects.toMatchObject({ name: 'WalError' });
    expect(machine.held).toEqual([]);
    expect(await machine.disk.list('/data/wal')).toEqual([]);
  });
});
