import { type etcdserverpb, membershippb } from '@conclave/protocol';
import { afterEach, expect, it, vi } from 'vitest';
import { RpcClient } from '../../compat/rpc-client.js';
import { type MemberProcess } from '../../members/member-process.js';
import { ClusterFixture } from './cluster-fixture.js';

const { ChangeMembersRequest, ChangeMembersResponse } = membershippb;

const open: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const end of open.splice(0).reverse()) await end();
});

async function change(
  member: MemberProcess,
  changes: Partial<membershippb.ChangeMembersRequest>,
): Promise<membershippb.ChangeMembersResponse> {
  const rpc = new RpcClient(member.address);
  try {
    const request = ChangeMembersRequest.fromPartial(changes);
    const path = '/conclave.v1.Membership/ChangeMembers';
    const outcome = await rpc.call(path, request, ChangeMembersRequest, ChangeMembersResponse);
    if (!('ok' in outcome)) throw new Error(outcome.message);
    return outcome.ok;
  } finally {
    rpc.close();
  }
}

const namesOf = (members: readonly etcdserverpb.Member[]): string[] => members.map(({ name }) => name).sort();

it('two of three members are replaced as one change while writes go on', async () => {
  const fixture = await ClusterFixture.start(3, { flags: ['--max-learners=2'] });
  open.push(() => fixture.end());
  const founders = [...fixture.members];
  const leader = await vi.waitFor(() => fixture.leader(founders), { timeout: 30_000, interval: 20 });
  const [stays, goes] = founders.filter((member) => member !== leader);
  // Through the member that stays: one that goes cannot say of its last requests what became of them.
  const client = fixture.client([stays!]);
  let written = 0;
  let isWriting = true;
  const writing = (async () => {
    while (isWriting) await client.kv.put(`load/${written++}`, 'x');
  })();

  const joining = [await fixture.cluster.prepareJoining('n4'), await fixture.cluster.prepareJoining('n5')];
  const add = joining.map(({ peerUrl }) => ({ peer_urls: [peerUrl], is_learner: true }));
  const { added } = await vi.waitFor(() => change(stays!, { add }), { timeout: 20_000, interval: 200 });
  expect(added).toHaveLength(2);
  // Each is told of the founders and of itself alone: the other one is added, too, but does not run yet.
  await Promise.all(joining.map((member) => member.start()));

  const ids = await Promise.all(
    [leader, goes!].map(async (member) => (await fixture.status(member)).header!.member_id),
  );
  const promote = added.map(({ ID }) => ID);
  const { members } = await vi.waitFor(() => change(stays!, { promote, remove: ids }), {
    timeout: 30_000,
    interval: 200,
  });
  expect(namesOf(members)).toEqual([stays!.name, 'n4', 'n5'].sort());
  // They are told, and end by themselves.
  expect(await Promise.all([leader.ended(), goes!.ended()])).toEqual([0, 0]);
  await fixture.client([stays!]).kv.put('last', '1');
  isWriting = false;
  await writing;

  // The new ones have everything, and are a majority without the old one.
  await stays!.stop('SIGKILL');
  const rest = fixture.client(joining);
  expect((await rest.kv.range('load/', { prefix: true, countOnly: true })).count).toBe(BigInt(written));
  await rest.kv.put('after', '2');
}, 120_000);
