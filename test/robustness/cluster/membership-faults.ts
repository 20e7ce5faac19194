import { etcdserverpb } from '@conclave/protocol';
import { type MemberProcess } from '../../members/member-process.js';
import { type MemberClient } from '../traffic/member-client.js';
import { delay, within } from '../traffic/within.js';
import { type Fault, type FaultScene } from './fault.js';
import { type TestedCluster } from './tested-cluster.js';

/** Calls until it succeeds, at one running member after the other: during a change of leader each may refuse. */
async function insist(
  cluster: TestedCluster,
  what: string,
  call: (client: MemberClient) => Promise<unknown>,
): Promise<void> {
  let isOver = false;
  let refusal = '';
  const attempts = async (): Promise<void> => {
    for (let attempt = 0; !isOver; attempt++) {
      const client = cluster.client(cluster.running[attempt % cluster.running.length]);
      const isDone = await call(client).then(
        () => true,
        (error: unknown) => {
          refusal = String(error);
          return false;
        },
      );
      await client.close();
      if (isDone) return;
      await delay(100);
    }
  };
  try {
    await within(attempts(), what);
  } catch (error) {
    throw new Error(`${what} was refused: ${refusal}`, { cause: error });
  } finally {
    isOver = true;
  }
}

async function listed(client: MemberClient): Promise<etcdserverpb.Member[]> {
  const { MemberListRequest, MemberListResponse } = etcdserverpb;
  const request = { linearizable: true };
  return (await client.call('Cluster/MemberList', request, MemberListRequest, MemberListResponse)).members;
}

/** Adds a member as a learner, once, whatever an earlier attempt did. */
async function addLearner(cluster: TestedCluster, peerURL: string): Promise<bigint> {
  const { MemberAddRequest, MemberAddResponse } = etcdserverpb;
  let id = 0n;
  await insist(cluster, 'adding a learner', async (client) => {
    const known = (await listed(client)).find(({ peerURLs }) => peerURLs.includes(peerURL));
    const request = { peerURLs: [peerURL], isLearner: true };
    const added =
      known ?? (await client.call('Cluster/MemberAdd', request, MemberAddRequest, MemberAddResponse)).member;
    id = added!.ID;
  });
  return id;
}

async function promote(cluster: TestedCluster, id: bigint): Promise<void> {
  const { MemberPromoteRequest, MemberPromoteResponse } = etcdserverpb;
  await insist(cluster, 'promoting a learner', async (client) => {
    const member = (await listed(client)).find(({ ID }) => ID === id);
    if (member?.isLearner === false) return;
    await client.call('Cluster/MemberPromote', { ID: id }, MemberPromoteRequest, MemberPromoteResponse);
  });
}

async function removeMember(cluster: TestedCluster, id: bigint): Promise<void> {
  const { MemberRemoveRequest, MemberRemoveResponse } = etcdserverpb;
  await insist(cluster, 'removing a member', async (client) => {
    if ((await listed(client)).every(({ ID }) => ID !== id)) return;
    await client.call('Cluster/MemberRemove', { ID: id }, MemberRemoveRequest, MemberRemoveResponse);
  });
}

/** Replaces a drawn member, which may be the leader or the new one itself. `between` runs while the learner catches up. */
async function replaceMember(
  { cluster, traffic, chance }: FaultScene,
  between: () => Promise<void>,
): Promise<void> {
  const joining = await cluster.prepareJoining();
  const id = await addLearner(cluster, joining.advertisedPeerUrl);
  await cluster.start(joining);
  await between();
  await promote(cluster, id);
  await traffic.progress(20, 'writes after a promotion');
  const leaving = chance.chance(0.4) ? await cluster.leader() : chance.pick(cluster.running);
  const leavingId = await cluster.idOf(leaving);
  const ended = cluster.endsByItself(leaving, `the end of ${leaving.name} after its removal`);
  await removeMember(cluster, leavingId);
  await ended;
  await cluster.dismiss(leaving);
}

/** Hands leadership on, several times; a refusal is no violation, for the target may be behind. */
async function moveLeader({ cluster, chance, traffic }: FaultScene): Promise<void> {
  const { MoveLeaderRequest, MoveLeaderResponse } = etcdserverpb;
  for (let i = 0; i < 4; i++) {
    const leader = await cluster.leader();
    const target: MemberProcess = chance.pick(cluster.running.filter((member) => member !== leader));
    const request = { targetID: await cluster.idOf(target) };
    const client = cluster.client(leader);
    await client
      .call('Maintenance/MoveLeader', request, MoveLeaderRequest, MoveLeaderResponse)
      .catch(() => undefined);
    await client.close();
    await traffic.progress(20, 'writes after leadership was moved');
  }
}

/** Planned changes, alone and together with a death. */
export const membershipFaults: readonly Fault[] = [
  { name: 'move the leader', keepsMajority: true, strike: moveLeader },
  {
    name: 'replace a member',
    keepsMajority: true,
    strike: (scene) => replaceMember(scene, () => Promise.resolve()),
  },
  {
    name: 'replace a member, kill -9 the leader',
    keepsMajority: true,
    strike: (scene) =>
      replaceMember(scene, async () => {
        const leader = await scene.cluster.leader();
        await scene.cluster.kill(leader);
        await scene.cluster.start(leader);
      }),
  },
];
