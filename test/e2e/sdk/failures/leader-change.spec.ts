import { filter, firstValueFrom } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import { type MemberProcess } from '../../../members/member-process.js';
import { etcdctl } from '../../client/etcdctl.js';
import { hasEtcdctl, targets } from '../../client/targets.js';
import { ClusterFixture } from '../../cluster/cluster-fixture.js';
import { Belief } from './belief.js';
import { seen } from './failure-table.js';

const full = process.env['CONCLAVE_FULL'] === '1';
const servers = full ? targets : targets.filter((kind) => kind === 'conclave');

describe.each(servers)('a change of the leader of %s', (kind) => {
  let fixture: ClusterFixture | undefined;
  afterEach(() => fixture?.end());

  async function held() {
    fixture = await ClusterFixture.start(3, {}, kind);
    const leader = await agreedLeader(fixture, fixture.members);
    const client = fixture.client();
    const handle = await client.locks.mutex('m', { ttl: '20s' }).acquire();
    return { fixture, leader, client, handle, belief: new Belief(handle) };
  }

  async function agreedLeader(
    cluster: ClusterFixture,
    members: readonly MemberProcess[],
  ): Promise<MemberProcess> {
    for (;;) {
      const leader = await cluster.leader(members).catch(() => undefined);
      if (leader !== undefined) return leader;
    }
  }

  it.runIf(hasEtcdctl)('is nothing that a holder notices, when the office is handed over', async () => {
    const { fixture, leader, client, handle, belief } = await held();
    const heir = fixture.members.find((member) => member !== leader)!;
    const { header } = await fixture.status(heir);
    etcdctl(leader.address, 'move-leader', (header?.member_id ?? 0n).toString(16));
    expect(await agreedLeader(fixture, fixture.members)).toBe(heir);
    await handle.verify();
    expect(belief.kinds).not.toContain('lost');
    expect(await fixture.client([heir]).locks.mutex('m').tryAcquire()).toBeNull();
    await handle.release();
    expect(await client.locks.mutex('m').tryAcquire()).not.toBeNull();
    seen('leader gives up its office', kind, 'held throughout, with the same token; released as ever');
  });

  it('leaves the lock with its holder when the leader is killed', async () => {
    const { fixture, leader, client, handle, belief } = await held();
    const others = fixture.members.filter((member) => member !== leader);
    await leader.stop('SIGKILL');
    await agreedLeader(fixture, others);
    await firstValueFrom(client.connection$.pipe(filter(({ kind }) => kind === 'connected')));
    await handle.verify();
    expect(belief.kinds).not.toContain('lost');
    expect(await fixture.client(others).locks.mutex('m').tryAcquire()).toBeNull();
    await handle.release();
    expect(await fixture.client(others).locks.mutex('m').tryAcquire()).not.toBeNull();
    seen('leader killed', kind, 'held throughout, with the same token; released as ever');
  });
});
