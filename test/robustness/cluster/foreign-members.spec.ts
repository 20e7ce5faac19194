import { cpSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { freePorts, MemberProcess, type MemberProcessOptions } from '../../members/member-process.js';
import { MemberClient } from '../traffic/member-client.js';
import { LoadedCluster, untilWarned } from './loaded-cluster.js';
import { type TestedCluster } from './tested-cluster.js';

const open: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function start(seed: number): Promise<LoadedCluster> {
  const loaded = await LoadedCluster.start(seed);
  open.push(() => loaded.end());
  return loaded;
}

async function create(options: MemberProcessOptions = {}): Promise<MemberProcess> {
  const member = await MemberProcess.create('conclave', options);
  open.push(() => member.remove());
  return member;
}

async function termOf(cluster: TestedCluster, member: MemberProcess): Promise<bigint> {
  return (await cluster.status(member)).raftTerm;
}

async function value(member: MemberProcess, key: string): Promise<string | undefined> {
  const client = new MemberClient(member);
  const { kvs } = await client.range({ key: Buffer.from(key) });
  await client.close();
  return kvs[0]?.value.toString();
}

describe('a member that is not the one that is looked for', () => {
  it('of another cluster is refused by both sides, which say why, and neither loses anything', async () => {
    const loaded = await start(11);
    const { cluster, traffic } = loaded;
    const stranger = await create();
    await stranger.start();
    const client = new MemberClient(stranger);
    await client.put('own', Buffer.from('kept'));
    await client.close();
    const [caller, , absent] = cluster.members;
    await cluster.kill(absent);
    // The address of a member that is down is given to a member of another cluster.
    await cluster.links.listen(absent.name);
    cluster.links.redirect(absent.name, stranger.peerPort);
    await untilWarned(
      caller,
      /does not speak with this one: this member belongs to cluster [0-9a-f]+, the caller to/,
    );
    await untilWarned(
      stranger,
      /refused another member: this member belongs to cluster [0-9a-f]+, the caller to/,
    );
    await traffic.progress(50, 'writes while a stranger is called');
    expect(await value(stranger, 'own')).toBe('kept');
    expect(await value(stranger, 'plain/a')).toBeUndefined();
    cluster.links.redirect(absent.name, absent.peerPort);
    expect(await loaded.findings()).toEqual([]);
  }, 120_000);

  it('but another one of the same cluster is refused, and the right one catches up when it is reached again', async () => {
    const loaded = await start(12);
    const { cluster, traffic } = loaded;
    const leader = await cluster.leader();
    const [hidden, other] = await cluster.followers();
    cluster.links.redirect(hidden.name, other.peerPort);
    await untilWarned(
      leader,
      /does not speak with this one: this is member [0-9a-f]+, the caller looks for [0-9a-f]+/,
    );
    await traffic.progress(50, 'writes while a member is not reached');
    cluster.links.redirect(hidden.name, hidden.peerPort);
    expect(await loaded.findings()).toEqual([]);
  }, 120_000);
});

describe('a data directory that is there twice', () => {
  it('is refused to a second process on the same one', async () => {
    const loaded = await start(13);
    const [member] = loaded.cluster.members;
    const second = await MemberProcess.create('conclave', { directory: member.directory });
    expect(await second.startExpectingEnd()).toBe(1);
    expect(second.output).toMatch(/"level":"fatal".*in use by another/);
    expect(await loaded.findings()).toEqual([]);
  }, 120_000);

  it('as a copy is told so, gets no vote and no write, and neither the cluster nor the original notices', async () => {
    const loaded = await start(14);
    const { cluster, traffic } = loaded;
    const [original] = await cluster.followers();
    const [clientPort, peerPort] = await freePorts(2);
    const others = cluster.members.map(({ name, advertisedPeerUrl }) => `${name}=${advertisedPeerUrl}`);
    const place = {
      name: original.name,
      clientPort,
      peerPort,
      initialCluster: [
        ...others.filter((text) => !text.startsWith(`${original.name}=`)),
        `${original.name}=http://127.0.0.1:${peerPort}`,
      ].join(','),
      state: 'existing' as const,
    };
    const copy = await create({ place });
    await cluster.kill(original);
    // The lock is a socket, which no copy can be made of.
    const isFile = (path: string): boolean => !path.endsWith('.sock');
    cpSync(original.dataDirectory, copy.dataDirectory, { recursive: true, filter: isFile });
    await cluster.start(original);
    // It never does: nobody answers it, for the members call the one whose URLs they know.
    const starting = copy.start().then(
      () => 'serves',
      () => 'ended',
    );
    const term = await termOf(loaded.cluster, original);
    await traffic.progress(400, 'writes while a copy runs');
    const told = /"level":"error".*runs twice: at the peer URLs .*remove its data directory/;
    await vi.waitFor(() => expect(copy.output).toMatch(told), { timeout: 30_000, interval: 50 });
    for (const member of cluster.members.filter((each) => each !== original)) {
      await untilWarned(member, /refused another member: member [0-9a-f]+ runs twice/);
    }
    expect(original.output).not.toContain('replaced by a newer stream of the same member');
    expect(original.output).not.toContain('runs twice');
    expect(await Promise.race([starting, Promise.resolve('waits')])).toBe('waits');
    expect(await termOf(loaded.cluster, original)).toBe(term);
    await copy.stop('SIGKILL');
    expect(await loaded.findings()).toEqual([]);
  }, 120_000);
});
