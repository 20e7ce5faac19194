import { etcdserverpb } from '@conclave/protocol';
import { afterEach, expect, it, vi } from 'vitest';
import { RpcClient } from '../../compat/rpc-client.js';
import { MemberProcess } from '../../members/member-process.js';
import { ClusterFixture } from './cluster-fixture.js';

const { MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse } = etcdserverpb;

const keys = 300;
const open: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const end of open.splice(0).reverse()) await end();
});

/** The same member, with its data and ports, as it is started with further flags. */
function again(
  member: MemberProcess,
  initialCluster: string,
  flags: readonly string[],
): Promise<MemberProcess> {
  const { name, clientPort, peerPort, directory } = member;
  const place = { name, initialCluster, state: 'new' as const, clientPort, peerPort };
  return MemberProcess.create('conclave', { directory, place, flags });
}

async function call<Response>(
  member: MemberProcess,
  run: (rpc: RpcClient) => Promise<{ ok: Response } | { message: string }>,
): Promise<Response> {
  const rpc = new RpcClient(member.address);
  try {
    const outcome = await run(rpc);
    if (!('ok' in outcome)) throw new Error(outcome.message);
    return outcome.ok;
  } finally {
    rpc.close();
  }
}

function add(member: MemberProcess, peerURL: string): Promise<etcdserverpb.MemberAddResponse> {
  const request = { peerURLs: [peerURL], isLearner: false };
  return call(member, (rpc) =>
    rpc.call('/etcdserverpb.Cluster/MemberAdd', request, MemberAddRequest, MemberAddResponse),
  );
}

async function names(member: MemberProcess): Promise<string[]> {
  const request = { linearizable: true };
  const { members } = await call(member, (rpc) =>
    rpc.call('/etcdserverpb.Cluster/MemberList', request, MemberListRequest, MemberListResponse),
  );
  return members.map(({ name }) => name).sort();
}

it('a survivor goes on alone with all that was acknowledged, refuses the others, and gets new members', async () => {
  const fixture = await ClusterFixture.start(3);
  open.push(() => fixture.end());
  const [survivor, ...lost] = fixture.members;
  const initialCluster = fixture.members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',');
  const client = fixture.client();
  await Promise.all(Array.from({ length: keys }, (_, n) => client.kv.put(`key/${n}`, `value ${n}`)));
  // What a majority without the survivor has acknowledged is nowhere else: this makes sure that it has all.
  expect((await fixture.client([survivor!]).kv.range('key/', { prefix: true })).entries).toHaveLength(keys);
  await Promise.all(lost.map((member) => member.stop('SIGKILL')));
  await survivor!.stop('SIGKILL');

  const forced = await again(survivor!, initialCluster, ['--force-new-cluster']);
  open.push(() => forced.stop('SIGKILL'));
  await forced.start();
  const { entries } = await fixture.client([forced]).kv.range('key/', { prefix: true });
  expect(new Map(entries.map(({ key, text }) => [key.toString(), text]))).toEqual(
    new Map(Array.from({ length: keys }, (_, n) => [`key/${n}`, `value ${n}`])),
  );
  await fixture.client([forced]).kv.put('alone', '1');
  expect(await names(forced)).toEqual(['m1']);

  // A former member that comes back is told that it is none any more.
  expect(await lost[0]!.startExpectingEnd()).toBe(0);
  expect(lost[0]!.output).toContain('was removed from the cluster');

  // From now on without the flag.
  await forced.stop('SIGTERM');
  const single = await again(survivor!, initialCluster, []);
  open.push(() => single.stop('SIGKILL'));
  await single.start();
  const joined: MemberProcess[] = [];
  for (const name of ['n2', 'n3']) {
    const member = await fixture.cluster.prepareJoining(name);
    const running = [single, ...joined].map((each) => `${each.name}=${each.peerUrl}`).join(',');
    // The voters that are there must have been connected for a while before another is added.
    await vi.waitFor(() => add(single, member.peerUrl), { timeout: 20_000, interval: 200 });
    const place = {
      ...{ name, clientPort: member.clientPort, peerPort: member.peerPort, state: 'existing' as const },
      initialCluster: `${running},${name}=${member.peerUrl}`,
    };
    const joining = await MemberProcess.create('conclave', { directory: member.directory, place });
    open.push(() => joining.stop('SIGKILL'));
    await joining.start();
    joined.push(joining);
  }
  expect(await names(single)).toEqual(['m1', 'n2', 'n3']);
  // Three members bear the loss of one, also of the survivor.
  await single.stop('SIGKILL');
  const rest = fixture.client(joined);
  await rest.kv.put('after', '2');
  expect((await rest.kv.range('key/', { prefix: true, countOnly: true })).count).toBe(BigInt(keys));
}, 120_000);

it('a member without data is told what the flag is for', async () => {
  const member = await MemberProcess.create('conclave', { flags: ['--force-new-cluster'] });
  open.push(() => member.remove());
  expect(await member.startExpectingEnd()).toBe(1);
  expect(member.output).toMatch(/--force-new-cluster goes on with the data of a member .* is empty/);
}, 60_000);
