import { afterEach, describe, expect, it } from 'vitest';
import { type MemberProcess } from '../../members/member-process.js';
import { type Condition } from './link.js';
import { LoadedCluster, untilWarned } from './loaded-cluster.js';

/** More than entries take that are sent at once, less than the state of the store. */
const afterBytes = 700_000;

let loaded: LoadedCluster | undefined;
afterEach(async () => {
  await loaded?.end();
});

/** A cluster without load, one member of which is down and can only come back by a state of some megabytes. */
async function withOneBehind(seed: number): Promise<{ loaded: LoadedCluster; behind: MemberProcess }> {
  loaded = await LoadedCluster.start(seed);
  const { cluster, traffic } = loaded;
  const [behind, other] = await cluster.followers();
  await cluster.kill(behind);
  await traffic.flood([await cluster.leader(), other], 3_000);
  const client = cluster.client(other);
  for (let i = 0; i < 60; i++) await traffic.putThrough(client, 64 * 1024);
  await client.close();
  await traffic.stop();
  return { loaded, behind };
}

/** What the others send to a member. */
function setWaysTo({ cluster }: LoadedCluster, member: MemberProcess, condition: Condition): void {
  for (const { name } of cluster.members)
    if (name !== member.name) cluster.network.way(name, member.name).condition = condition;
}

/** A full run: a store of some megabytes is made first. `peer/state-transfer.spec` flips bits of small ones in every run. */
describe.runIf(process.env['CONCLAVE_FULL'] === '1')('a state that a member needs', () => {
  it('is refused while it arrives damaged, and taken when it arrives whole', async () => {
    const { loaded, behind } = await withOneBehind(21);
    const leader = await loaded.cluster.leader();
    setWaysTo(loaded, behind, { kind: 'damaged', afterBytes });
    const starting = loaded.cluster.start(behind);
    await untilWarned(
      leader,
      /the state could not be sent to a member; it is tried again: .*(DATA_LOSS|checksum)/i,
    );
    expect(behind.output).not.toContain('installing a state from the leader');
    loaded.cluster.network.heal();
    await starting;
    expect(behind.output).toContain('installed a state from the leader');
    loaded.traffic.go();
    expect(await loaded.findings()).toEqual([]);
  }, 180_000);

  it('is completed over connections that break again and again', async () => {
    const { loaded, behind } = await withOneBehind(22);
    setWaysTo(loaded, behind, { kind: 'torn', afterBytes });
    await loaded.cluster.start(behind);
    expect(behind.output).toContain('installed a state from the leader');
    loaded.traffic.go();
    expect(await loaded.findings()).toEqual([]);
  }, 180_000);
});
