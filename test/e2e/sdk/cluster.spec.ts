import {
  type ClientOptions,
  type ConclaveClient,
  createClient,
  type KeyChange,
  MaybeAppliedError,
} from '@conclave/client';
import { filter, firstValueFrom, map } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import { MemberCluster } from '../../members/member-cluster.js';
import { type MemberKind } from '../../members/member-process.js';
import { etcdctl } from '../client/etcdctl.js';
import { Fixture } from '../client/fixture.js';
import { hasEtcdctl, quickTargets, targets } from '../client/targets.js';
import { SilentLine } from './silent-line.js';

const toEnd: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of toEnd.splice(0).reverse()) await end();
});

async function start(kind: MemberKind): Promise<MemberCluster> {
  const cluster = await MemberCluster.create(kind, 3);
  toEnd.push(() => cluster.remove());
  await cluster.start();
  return cluster;
}

function connect(options: ClientOptions): ConclaveClient {
  const client = createClient({ requestTimeout: '30s', ...options });
  toEnd.push(() => client.close({ drain: '1s' }));
  return client;
}

/** Resolves when the endpoints in use are exactly these. */
async function endpointsAre(client: ConclaveClient, urls: readonly string[]): Promise<void> {
  const wanted = [...urls].sort().join();
  await firstValueFrom(client.cluster.endpoints$.pipe(filter((list) => [...list].sort().join() === wanted)));
}

async function connectedTo(client: ConclaveClient): Promise<string> {
  const endpoint$ = client.connection$.pipe(
    map((state) => (state.kind === 'connected' ? state.endpoint : undefined)),
    filter((endpoint) => endpoint !== undefined),
  );
  return firstValueFrom(endpoint$);
}

/** etcd gives up on writes that fall into a change of leader; the same put may be made again. */
async function putUntilAcknowledged(client: ConclaveClient, key: string, value: string): Promise<void> {
  for (;;) {
    try {
      return void (await client.kv.put(key, value));
    } catch (error) {
      if (!(error instanceof MaybeAppliedError)) throw error;
    }
  }
}

/** etcd refuses until its members have been connected for some seconds. */
async function remove(address: string, id: bigint): Promise<void> {
  for (;;) {
    try {
      return void etcdctl(address, 'member', 'remove', id.toString(16));
    } catch (error) {
      if (!(error as Error).message.includes('unhealthy cluster')) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

describe.each(quickTargets)('a cluster of %s', (kind) => {
  it('is known by one of its members, and used without that one', async () => {
    const cluster = await start(kind);
    const [first] = cluster.members;
    if (first === undefined) throw new Error('no members');
    const client = connect({ endpoints: [first.url], discovery: { every: '500ms' } });
    await client.kv.put('k', '1');
    await endpointsAre(client, cluster.urls);
    await first.stop('SIGKILL');
    await putUntilAcknowledged(client, 'k', '2');
    expect((await client.kv.get('k'))?.text).toBe('2');
    expect(cluster.urls.slice(1)).toContain(await connectedTo(client));
  });

  it('tells its members, and each of them its own status', async () => {
    const cluster = await start(kind);
    const client = connect({ endpoints: cluster.urls });
    await client.kv.put('k', '1');
    const members = await client.cluster.members();
    expect(
      members
        .map((member) => member.clientUrls)
        .flat()
        .sort(),
    ).toEqual([...cluster.urls].sort());
    expect(members.every((member) => !member.isLearner && member.id !== 0n)).toBe(true);
    const statuses = await Promise.all(cluster.urls.map((url) => client.cluster.status(url)));
    expect(new Set(statuses.map((status) => status.leaderId)).size).toBe(1);
    expect(new Set(statuses.map((status) => status.memberId))).toEqual(new Set(members.map(({ id }) => id)));
    for (const status of statuses) {
      expect(status).toMatchObject({ isLearner: false, errors: [] });
      expect(status.databaseBytes).toBeGreaterThan(0n);
    }
    await cluster.members[2]?.stop('SIGKILL');
    const gone = client.cluster.status(cluster.urls[2] ?? '', { timeoutMs: 2_000 });
    await expect(gone).rejects.toMatchObject({ code: 'unavailable' });
  });

  it.runIf(hasEtcdctl)('that loses a member is used without it', async () => {
    const cluster = await start(kind);
    const client = connect({ endpoints: cluster.urls, discovery: { every: '300ms' } });
    await client.ready();
    const used = await connectedTo(client);
    const members = await client.cluster.members();
    const leaving = members.find((member) => member.clientUrls.includes(used));
    const rest = cluster.urls.filter((url) => url !== used);
    await remove(rest[0] ?? '', leaving?.id ?? 0n);
    await endpointsAre(client, rest);
    await putUntilAcknowledged(client, 'k', '1');
    expect(rest).toContain(await connectedTo(client));
  });
});

describe.runIf(hasEtcdctl)('a learner', () => {
  it.each(quickTargets)('of %s is used for what it serves, and by nobody who knows better', async (kind) => {
    const cluster = await MemberCluster.create(kind, 1);
    toEnd.push(() => cluster.remove());
    await cluster.start();
    const [voter] = cluster.members;
    if (voter === undefined) throw new Error('no member');
    const client = connect({ endpoints: [voter.url], discovery: { every: '300ms' } });
    await client.kv.put('k', '1');
    const learner = await cluster.prepareJoining('learner');
    etcdctl(voter.address, 'member', 'add', 'learner', '--learner', `--peer-urls=${learner.peerUrl}`);
    await learner.start();
    const reader = connect({ endpoints: [learner.url] });
    const known = async (): Promise<boolean> =>
      (await reader.kv.get('k', { serializable: true }))?.text === '1';
    while (!(await known())) await new Promise((resolve) => setTimeout(resolve, 50));
    await expect(reader.kv.put('k', '2', { timeoutMs: 1_000 })).rejects.toMatchObject({
      code: 'unavailable',
      reason: 'NotSupportedForLearner',
    });
    const members = await client.cluster.members();
    const found = members.find((member) => member.isLearner);
    expect(members).toHaveLength(2);
    expect(found).toMatchObject({ name: 'learner', clientUrls: [learner.url] });
    const both = connect({ endpoints: [learner.url, voter.url] });
    await both.ready();
    expect(await connectedTo(both)).toBe(voter.url);
    await endpointsAre(client, [voter.url]);
  });
});

describe.each(targets)('a connection to %s', (kind) => {
  it('P28 that stays open and gives no sign of life is left, with its watch and its lease, for another', async () => {
    const fixture = await Fixture.start(kind);
    toEnd.push(() => fixture.end());
    const lines = await Promise.all([0, 1].map(() => SilentLine.to(fixture.member.clientPort)));
    for (const line of lines) toEnd.push(() => line.close());
    const client = connect({
      endpoints: lines.map((line) => line.url),
      keepalive: { time: '500ms', timeout: '500ms' },
      dialTimeout: '1s',
    });
    const changes: KeyChange[] = [];
    client.watch.events('k').subscribe((batch) => changes.push(...batch.changes));
    const lease = await client.leases.grant({ ttl: '20s' });
    await client.kv.put('k', '1');
    const used = await connectedTo(client);
    lines.find((line) => line.url === used)?.fallSilent();
    const other = lines.find((line) => line.url !== used)?.url;
    const moved$ = client.connection$.pipe(
      filter((state) => state.kind === 'connected' && state.endpoint === other),
    );
    // Nothing is called meanwhile: the watch alone is reason enough to look whether the connection lives.
    await firstValueFrom(moved$);
    await fixture.client().kv.put('k', '2');
    await client.kv.put('k', '3');
    expect((await client.kv.get('k'))?.version).toBe(3n);
    while (changes.length < 3) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(
      changes.map((change) => (change.type === 'put' ? Buffer.from(change.value).toString() : '-')),
    ).toEqual(['1', '2', '3']);
    expect(lease.isAlive()).toBe(true);
  });
});
