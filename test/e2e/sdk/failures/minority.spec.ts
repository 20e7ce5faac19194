import { filter, firstValueFrom } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import { type ConclaveClient, createClient } from '@conclave/client';
import { between } from '../../../robustness/cluster/member-network.js';
import { TestedCluster } from '../../../robustness/cluster/tested-cluster.js';
import { targets } from '../../client/targets.js';
import { Belief } from './belief.js';
import { seen } from './failure-table.js';

const full = process.env['CONCLAVE_FULL'] === '1';

describe.runIf(full).each(targets)('a holder whose member of %s is cut off from the others', (kind) => {
  let cluster: TestedCluster | undefined;
  const clients: ConclaveClient[] = [];
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close({ drain: '1s' })));
    await cluster?.remove();
  });

  it('goes to another member, and holds on', async () => {
    cluster = await TestedCluster.start(kind, 3);
    const { members, network } = cluster;
    const client = createClient({ endpoints: members.map(({ url }) => url), requestTimeout: '30s' });
    clients.push(client);
    const handle = await client.locks.mutex('m', { ttl: '30s' }).acquire();
    const belief = new Belief(handle);
    const connected$ = client.connection$.pipe(filter((state) => state.kind === 'connected'));
    const { endpoint } = await firstValueFrom(connected$);
    const others = members.filter(({ url }) => url !== endpoint);
    expect(others).toHaveLength(2);
    const names = others.map(({ name }) => name);
    const [alone] = members.filter((member) => !others.includes(member));
    between(network, [alone?.name ?? ''], names, { kind: 'lost' });
    await firstValueFrom(connected$.pipe(filter((state) => state.endpoint !== endpoint)));
    await handle.verify();
    expect(belief.kinds).not.toContain('lost');
    const waiting = createClient({ endpoints: others.map(({ url }) => url), requestTimeout: '30s' });
    clients.push(waiting);
    expect(await waiting.locks.mutex('m').tryAcquire()).toBeNull();
    await handle.release();
    expect(await waiting.locks.mutex('m').tryAcquire()).not.toBeNull();
    seen('member cut off from the others', kind, 'held throughout, through another member');
  });
});
