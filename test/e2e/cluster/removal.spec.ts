import { etcdserverpb } from '@conclave/protocol';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { RpcClient } from '../../compat/rpc-client.js';
import { ClusterFixture } from './cluster-fixture.js';

const { MemberRemoveRequest, MemberRemoveResponse } = etcdserverpb;

let fixture: ClusterFixture;

beforeAll(async () => {
  fixture = await ClusterFixture.start(3);
});

afterAll(() => fixture.end());

it('a member that is removed says so and ends without an error, and the others go on', async () => {
  const leader = await vi.waitFor(() => fixture.leader(), { timeout: 30_000, interval: 20 });
  const removed = fixture.members.find((member) => member !== leader)!;
  const ID = (await fixture.status(removed)).header!.member_id;
  const rpc = new RpcClient(leader.address);
  const path = '/etcdserverpb.Cluster/MemberRemove';
  // Refused until all members have been steadily connected for a while.
  await vi.waitFor(
    async () =>
      expect(await rpc.call(path, { ID }, MemberRemoveRequest, MemberRemoveResponse)).toHaveProperty('ok'),
    { timeout: 20_000, interval: 200 },
  );
  rpc.close();
  expect(await removed.ended()).toBe(0);
  expect(removed.output).toContain('this member was removed from the cluster');
  const rest = fixture.members.filter((member) => member !== removed);
  await fixture.client(rest).kv.put('after', 'x');
  expect((await fixture.client(rest).kv.get('after'))?.text).toBe('x');
});
