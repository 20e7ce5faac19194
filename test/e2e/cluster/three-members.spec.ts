import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { hasProgram, type MemberProcess } from '../../members/member-process.js';
import { runEtcdctl } from '../server/command.js';
import { ClusterFixture } from './cluster-fixture.js';

const waiting = { timeout: 30_000, interval: 20 };

describe('three members', () => {
  let fixture: ClusterFixture;

  beforeAll(async () => {
    fixture = await ClusterFixture.start(3);
  });

  afterAll(() => fixture.end());

  /** The leader and the two others, once all agree. */
  async function roles(): Promise<{ leader: MemberProcess; followers: MemberProcess[] }> {
    const leader = await vi.waitFor(() => fixture.leader(), waiting);
    return { leader, followers: fixture.members.filter((member) => member !== leader) };
  }

  it('agree on one leader, one cluster id, and three members with their client URLs', async () => {
    await roles();
    const views = await Promise.all(fixture.members.map((member) => fixture.status(member)));
    expect(new Set(views.map(({ header }) => header?.cluster_id)).size).toBe(1);
    expect(new Set(views.map(({ header }) => header?.member_id)).size).toBe(3);
    for (const member of fixture.members) {
      const response = await fetch(`${member.peerUrl}/members`);
      expect(response.headers.get('x-etcd-cluster-id')).toBe(views[0]?.header?.cluster_id.toString(16));
      const members = (await response.json()) as { name: string; clientURLs: string[]; peerURLs: string[] }[];
      expect(members.map(({ name }) => name).sort()).toEqual(['m1', 'm2', 'm3']);
      expect(members.flatMap(({ clientURLs }) => clientURLs).sort()).toEqual(
        [...fixture.cluster.urls].sort(),
      );
    }
  });

  it('take writes through every one, and each reads at once what another one acknowledged', async () => {
    for (const [i, writer] of fixture.members.entries()) {
      await fixture.client([writer]).kv.put(`through/${i}`, writer.name);
      for (const reader of fixture.members) {
        expect((await fixture.client([reader]).kv.get(`through/${i}`))?.text).toBe(writer.name);
      }
    }
  });

  it('take large values, and many at once, without losing one', async () => {
    const client = fixture.client();
    const values = Array.from({ length: 12 }, (_, i) => Buffer.alloc(1_000_000, i));
    await Promise.all(values.map((value, i) => client.kv.put(`large/${i}`, value)));
    await Promise.all(Array.from({ length: 500 }, (_, i) => client.kv.put(`small/${i}`, String(i))));
    for (const member of fixture.members) {
      const { kv } = fixture.client([member]);
      expect((await kv.range('small/', { prefix: true, countOnly: true })).count).toBe(500n);
      for (const [i, value] of values.entries()) {
        const stored = await kv.get(`large/${i}`);
        expect(stored !== null && value.equals(stored.value)).toBe(true);
      }
    }
  });

  it.skipIf(!hasProgram('etcdctl'))('are used by etcdctl as those of etcd are', async () => {
    const all = fixture.cluster.addresses;
    for (const member of fixture.members) {
      expect((await runEtcdctl(member.address, ['put', `ctl/${member.name}`, 'x'])).stdout.toString()).toBe(
        'OK\n',
      );
    }
    const keys = await runEtcdctl(all, ['get', 'ctl/', '--prefix', '--keys-only']);
    expect(keys.stdout.toString().trim().split(/\n+/)).toEqual(['ctl/m1', 'ctl/m2', 'ctl/m3']);
    const health = await runEtcdctl(all, ['endpoint', 'health']);
    expect([health.code, health.stderr + health.stdout.toString()]).toEqual([
      0,
      expect.stringMatching(/is healthy/),
    ]);
    const status = await runEtcdctl(all, ['endpoint', 'status', '-w', 'json']);
    const parsed = JSON.parse(status.stdout.toString()) as { Status: { leader: number } }[];
    expect(parsed).toHaveLength(3);
    expect(new Set(parsed.map(({ Status }) => Status.leader)).size).toBe(1);
    const list = await runEtcdctl(all, ['member', 'list']);
    expect(list.stdout.toString().match(/started, m[123]/g)).toHaveLength(3);
  });

  it('go on when the leader is killed, and the killed one catches up when it comes back', async () => {
    const { leader, followers } = await roles();
    const survivors = fixture.client(followers);
    await survivors.kv.put('before', '1');
    await leader.stop('SIGKILL');
    await survivors.kv.put('while-down', '2');
    expect(await vi.waitFor(() => fixture.leader(followers), waiting)).not.toBe(leader);
    expect((await survivors.kv.get('before'))?.text).toBe('1');
    await leader.start();
    const returned = fixture.client([leader]);
    expect((await returned.kv.get('while-down'))?.text).toBe('2');
    await returned.kv.put('after', '3');
    expect((await survivors.kv.get('after'))?.text).toBe('3');
    await roles();
  });

  it('refuse writes while two of them are down, and go on when one is back', async () => {
    const { leader, followers } = await roles();
    for (const follower of followers) await follower.stop('SIGKILL');
    const alone = fixture.client([leader], { requestTimeout: '1s' });
    await expect(alone.kv.put('minority', 'x')).rejects.toThrow();
    await followers[0]!.start();
    const pair = fixture.client([leader, followers[0]!]);
    await pair.kv.put('majority', 'y');
    await followers[1]!.start();
    expect((await fixture.client([followers[1]!]).kv.get('majority'))?.text).toBe('y');
  });

  it('hand leadership over when the leader is told to stop', async () => {
    const { leader, followers } = await roles();
    await fixture.client().kv.put('handover', '1');
    await leader.stop('SIGTERM');
    expect(leader.output).toContain('leadership handed over');
    await fixture.client(followers).kv.put('handover', '2');
    await leader.start();
    expect((await fixture.client([leader]).kv.get('handover'))?.text).toBe('2');
  });

  it('tell events of writes through one member to a watch at another', async () => {
    const { leader, followers } = await roles();
    let seen = 0;
    const { watch } = fixture.client([followers[0]!]);
    const subscription = watch.events('watched').subscribe(() => seen++);
    // Until the watch is there its key is written again.
    await vi.waitFor(async () => {
      await fixture.client([leader]).kv.put('watched', 'event');
      expect(seen).toBeGreaterThan(0);
    }, waiting);
    subscription.unsubscribe();
  });

  it('count what they say to each other', async () => {
    const text = await (await fetch(`${fixture.members[0]!.url}/metrics`)).text();
    for (const name of [
      'etcd_network_peer_sent_bytes_total{To=',
      'etcd_network_peer_received_bytes_total{From=',
      'etcd_network_peer_round_trip_time_seconds_bucket{To=',
      'etcd_network_active_peers{Local=',
    ]) {
      expect(text).toContain(name);
    }
  });
});
