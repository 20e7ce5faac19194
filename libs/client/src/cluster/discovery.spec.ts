import { etcdserverpb as pb } from '@conclave/protocol';
import { BehaviorSubject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { type ClientOptions, createClient } from '../client.js';
import { FakeNetwork } from '../testing/fake-transport.js';
import { outcomeOf } from '../testing/outcome.js';
import { VirtualClock } from '../testing/virtual-clock.js';

interface Listed {
  readonly ID: bigint;
  readonly url: string;
  readonly isLearner?: boolean;
}

/** A cluster in which every member gives the same list. Every member says that it is number 1. */
function world(list: Listed[], options: Partial<ClientOptions> = {}) {
  const clock = new VirtualClock();
  const network = new FakeNetwork((ms, callback) => clock.setTimer(ms, callback));
  let isRefused = false;
  const lists: number[] = [];
  const answer = (path: string): Promise<Uint8Array> => {
    const header = { cluster_id: 1n, member_id: 1n, revision: 10n, raft_term: 3n };
    if (!path.endsWith('/MemberList'))
      return Promise.resolve(pb.PutResponse.encode({ header, prev_kv: undefined }).finish());
    lists.push(clock.monotonic());
    if (isRefused) return Promise.reject(new Error('refused'));
    const members = list.map(({ ID, url, isLearner = false }) => ({
      ID,
      name: url,
      peerURLs: [],
      clientURLs: url === '' ? [] : [url],
      isLearner,
    }));
    return Promise.resolve(pb.MemberListResponse.encode({ header, members }).finish());
  };
  for (const name of ['seed', 'a', 'b', 'c']) network.add(name, { answer });
  const client = createClient({
    endpoints: ['seed'],
    clock,
    random: () => 0.25,
    transport: network.factory,
    discovery: { every: '30s' },
    ...options,
  });
  const states: string[] = [];
  client.connection$.subscribe((state) => {
    if (state.kind === 'connected') states.push(state.endpoint);
  });
  const endpoints: (readonly string[])[] = [];
  client.cluster.endpoints$.subscribe((urls) => endpoints.push(urls));
  return { clock, network, client, states, endpoints, lists, refuse: () => (isRefused = true) };
}

const listed = (...urls: readonly string[]): Listed[] => urls.map((url, at) => ({ ID: BigInt(at + 1), url }));

describe('discovery', () => {
  it('learns the members from the one that is known, and keeps the connection to a member under another name', async () => {
    const { clock, client, states, endpoints, lists } = world(listed('a', 'b', 'c'));
    await client.ready();
    await clock.settle();
    expect(endpoints).toEqual([['seed'], ['a', 'b', 'c']]);
    expect(states).toEqual(['seed']);
    await client.close();
    await clock.advance(100_000);
    expect(lists).toHaveLength(1);
    expect(clock.timers).toBe(0);
  });

  it('stops using a member that left', async () => {
    const list = listed('a', 'b', 'c');
    const { clock, network, client, states, endpoints } = world(list);
    await client.ready();
    await clock.settle();
    list.splice(0, 1);
    await clock.advance(40_000);
    expect(endpoints.at(-1)).toEqual(['b', 'c']);
    expect(['b', 'c']).toContain(states.at(-1));
    expect(network.connections).not.toContain('seed');
  });

  it('goes back to the given endpoints when no member of the list answers', async () => {
    const { clock, network, client, states } = world(listed('a', 'b', 'c'));
    await client.ready();
    await clock.settle();
    for (const name of ['seed', 'a', 'b', 'c']) network.crash(name);
    Object.assign(network.members.get('seed') ?? {}, { mode: 'up' });
    await clock.advance(10_000);
    expect(states).toEqual(['seed', 'seed']);
  });

  it('asks at intervals that differ, and keeps the last list when it cannot be had', async () => {
    const { clock, client, endpoints, lists, refuse } = world(listed('a', 'b', 'c'));
    await client.ready();
    await clock.settle();
    expect(lists).toEqual([0]);
    refuse();
    await clock.advance(27_000);
    expect(lists).toEqual([0, 27_000]);
    await clock.advance(60_000);
    expect(lists.length).toBeGreaterThan(2);
    expect(endpoints.at(-1)).toEqual(['a', 'b', 'c']);
  });

  it('sends nothing to learners, to members that were not started yet, and to what is no address', async () => {
    const list = [
      ...listed('a'),
      { ID: 2n, url: 'b', isLearner: true },
      { ID: 3n, url: '' },
      { ID: 4n, url: 'unix:///run/etcd' },
    ];
    const { clock, client, endpoints } = world(list);
    await client.ready();
    await clock.settle();
    expect(endpoints.at(-1)).toEqual(['a']);
    expect(await client.cluster.members()).toMatchObject([
      { id: 1n, name: 'a', clientUrls: ['a'], isLearner: false },
      { id: 2n, isLearner: true },
      { id: 3n, clientUrls: [] },
      { id: 4n },
    ]);
  });

  it('is off unless asked for', async () => {
    const { clock, client, endpoints, lists } = world(listed('a'), { discovery: undefined as never });
    await client.ready();
    await clock.advance(100_000);
    expect(lists).toEqual([]);
    expect(endpoints).toEqual([['seed']]);
  });

  it('a list that the application changes counts until the members are asked again', async () => {
    const given = new BehaviorSubject<readonly string[]>(['seed']);
    const { clock, client, endpoints } = world(listed('a', 'b'), { endpoints: given });
    await client.ready();
    await clock.settle();
    given.next(['c']);
    await clock.settle();
    expect(endpoints.at(-1)).toEqual(['c']);
    await clock.advance(40_000);
    expect(endpoints.at(-1)).toEqual(['a', 'b']);
  });
});

describe('cluster', () => {
  it('asks one member for its status on a connection of its own', async () => {
    const { clock, network, client } = world(listed('a'), { discovery: undefined as never });
    expect(await client.cluster.status('b')).toMatchObject({
      endpoint: 'b',
      clusterId: 1n,
      memberId: 1n,
      leaderId: 1n,
      revision: 10n,
      raftTerm: 3n,
      isLearner: false,
    });
    expect(network.connections).toEqual([]);
    network.crash('c');
    await expect(client.cluster.status('c')).rejects.toMatchObject({ code: 'unavailable', endpoint: 'c' });
    await expect(client.cluster.status('http://c/d')).rejects.toMatchObject({ code: 'invalid-argument' });
    Object.assign(network.members.get('b') ?? {}, { mode: 'silent' });
    const silent = outcomeOf(client.cluster.status('b', { timeoutMs: 700 }));
    await clock.advance(700);
    expect(silent.error).toMatchObject({ code: 'timeout', endpoint: 'b' });
  });
});
