import { etcdserverpb } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { ClusterState } from './apply/cluster-state.js';
import { MemoryBackend } from './backend/memory-backend.js';
import { forceNewCluster } from './engine-forced-cluster.js';
import { applyChange } from './raft/confchange/apply-change.js';
import { decodeConfChange, encodeConfChange } from './raft/confchange/conf-change.js';
import type { ConfState, Entry } from './raft/message.js';
import type { RecoveredState } from './raft/raw-node.js';
import { TestCluster } from './replica/testing/test-cluster.js';
import { emptyConfState } from './wal/state.js';
import { appendNow, fixtureEntries, SeededRandom, silentLogger, walFixture } from './wal/wal-fixture.js';

const own = 1n;
const platform = { random: new SeededRandom(5), logger: silentLogger };

function storeOf(members: readonly bigint[]): MemoryBackend {
  const backend = new MemoryBackend();
  ClusterState.found(
    backend,
    members.map((id) => ({ id, name: `m${id}`, peerUrls: [`http://peer-${id}`] })),
    { ...emptyConfState, voters: [...members] },
  );
  backend.setApplied({ index: 4, term: 2 });
  return backend;
}

/** A log of twelve entries of which this member knows that eight are committed, and has applied four. */
function survivor(confState: ConfState, tail: readonly Entry[] = []): RecoveredState {
  return {
    hardState: { term: 3, vote: 9n, commit: 8 },
    confState,
    snapshotIndex: 0,
    snapshotTerm: 0,
    entries: [...fixtureEntries(1, 12, 2), ...tail],
    applied: 4,
  };
}

/** The configuration after everything in the log. */
function outcome({ confState, entries, applied }: RecoveredState): ConfState {
  return entries
    .filter(({ kind, index }) => kind === 'config' && index > applied)
    .reduce((configuration, { data }) => {
      const changed = applyChange(configuration, decodeConfChange(data));
      return changed.refused === undefined ? changed.confState : configuration;
    }, confState);
}

async function force(recovered: RecoveredState, members: readonly bigint[]): Promise<RecoveredState> {
  const wal = await walFixture().open();
  await appendNow(wal, recovered.entries, 3);
  const forced = await forceNewCluster(wal, recovered, storeOf(members), platform, own);
  await wal.close();
  return forced;
}

function config(index: number, type: 'add-voter' | 'add-learner' | 'remove', ...members: bigint[]): Entry {
  const changes = members.map((member) => ({ type, member }));
  const data = encodeConfChange({ changes, transition: 'auto', context: new Uint8Array(0) });
  return { index, term: 2, kind: 'config', data };
}

describe('a new cluster by force', () => {
  const alone = { ...emptyConfState, voters: [own] };

  it('has this member alone, whatever the configuration was, and loses no entry of the log', async () => {
    const configurations: ConfState[] = [
      { ...emptyConfState, voters: [1n, 2n, 3n] },
      { ...emptyConfState, voters: [2n, 3n], learners: [1n, 4n] },
      { ...emptyConfState, voters: [1n, 4n], outgoing: [1n, 2n, 3n], autoLeave: true },
      { voters: [2n], learners: [], outgoing: [1n, 2n], learnersNext: [1n], autoLeave: true },
    ];
    for (const confState of configurations) {
      const before = survivor(confState);
      const after = await force(before, [1n, 2n, 3n, 4n]);
      expect(after.entries.slice(0, 12)).toEqual(before.entries);
      expect(outcome(after)).toEqual(alone);
      // In a term of its own, in which nobody else can have written or voted.
      expect(after.hardState).toEqual({ term: 4, vote: own, commit: after.entries.length });
      expect(after.entries.slice(12).every(({ term, kind }) => term === 4 && kind === 'config')).toBe(true);
    }
  });

  it('takes back changes of the members that nobody knows to be committed', async () => {
    const voters = [1n, 2n, 3n];
    const tails = [
      [config(13, 'add-voter', 7n)],
      [config(13, 'add-voter', 7n, 8n)],
      [config(13, 'remove', 2n)],
    ];
    for (const tail of tails) {
      const after = await force(survivor({ ...emptyConfState, voters }, tail), voters);
      expect(outcome(after)).toEqual(alone);
    }
  });

  it('is refused to a member that is none of its cluster, and changes nothing for one that is alone', async () => {
    await expect(force(survivor({ ...emptyConfState, voters: [2n, 3n] }), [2n, 3n])).rejects.toThrow(
      /no member of its cluster.*another survivor/,
    );
    const before = survivor(alone);
    expect(await force(before, [own])).toBe(before);
  });

  it('leaves the old log or the new one, whenever a crash comes', async () => {
    const recovered = survivor({ ...emptyConfState, voters: [1n, 2n, 3n] });
    const first = walFixture();
    const wal = await first.open();
    await appendNow(wal, recovered.entries, 3);
    await wal.close();
    const found = new Set<number>();
    let isWhole = false;
    for (let stopAt = 1; !isWhole; stopAt++) {
      const fixture = walFixture(first.disk.model.clone());
      const opened = await fixture.open({ create: false });
      let effects = 0;
      const died = new Promise<false>((resolve) => {
        fixture.disk.onEffect = () => {
          if (++effects !== stopAt) return;
          fixture.disk.crash();
          resolve(false);
        };
      });
      const forcing = forceNewCluster(opened, recovered, storeOf([1n, 2n, 3n]), platform, own).then(
        () => true,
      );
      isWhole = await Promise.race([died, forcing]);
      for (const survives of [() => 0, (options: number) => options - 1, (options: number) => options >> 1]) {
        const again = await walFixture(fixture.disk.model.clone().crash(survives)).open({ create: false });
        const { entries, hardState } = again.recovered!;
        await again.close();
        if (isWhole) expect(entries).toHaveLength(14);
        const isNew = entries.length === 14 && hardState.commit === 14 && hardState.term === 4;
        const isOld = entries.length === 12 && hardState.commit === 12 && hardState.term === 3;
        expect(isNew || isOld, `crash at effect ${stopAt}: ${entries.length} entries`).toBe(true);
        found.add(entries.length);
      }
      if (isWhole) fixture.disk.crash();
    }
    expect([...found].sort()).toEqual([12, 14]);
  });
});

describe('the survivor of three members', () => {
  it('keeps what was acknowledged, also what it did not know to be committed, and serves alone', async () => {
    const cluster = await TestCluster.found(3);
    const { leader } = cluster;
    const [left, other] = cluster.followers;
    for (let n = 0; n < 20; n++) await cluster.answered(cluster.put(leader, `k${n}`));
    other.kill();
    const last = cluster.put(leader, 'last');
    while (!last.isDone) await cluster.run(1);
    leader.kill();
    left.kill();
    expect(last.error).toBeUndefined();
    await cluster.restart(left, { forcesNewCluster: true });
    await cluster.until(() => left.engine!.state.leader() === left.id);
    expect(await cluster.read(left, 'last')).toBe('v@1');
    expect(await cluster.read(left, 'k19')).toBe('v@1');
    expect((await cluster.answered(cluster.put(left, 'alone'))).error).toBeUndefined();
    const { MemberListRequest, MemberListResponse } = etcdserverpb;
    const call = left.call(
      'Cluster/MemberList',
      MemberListRequest,
      { linearizable: true },
      MemberListResponse,
    );
    expect((await cluster.answered(call)).answer!.members.map(({ ID }) => ID)).toEqual([left.id]);
    // Without the flag from now on, and with it, it is the same.
    for (const forcesNewCluster of [false, true]) {
      left.kill();
      await cluster.restart(left, { forcesNewCluster });
      expect(await cluster.read(left, 'alone')).toBe('v@1');
    }
  });

  it('needs data', async () => {
    const cluster = new TestCluster();
    const member = cluster.add(1n, 'http://peer-1');
    const started = expect(member.start([], { forcesNewCluster: true })).rejects.toThrow(
      /\/data holds no data .*--force-new-cluster with the data directory of a member/,
    );
    await cluster.run(1_000);
    await started;
  });
});
