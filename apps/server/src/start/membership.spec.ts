import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { etcdserverpb } from '@conclave/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LogFields, type Logger } from '../engine/platform/logger.js';
import { type OptionName } from '../options/flag-table.js';
import { deriveFoundingIdentity } from '../options/identity.js';
import { optionsFrom, type ServerOptions } from '../options/server-options.js';
import { type ClusterView } from '../peer/member-list.js';
import { readIdentity } from './identity-file.js';
import { joinCluster } from './join-cluster.js';
import { type AskMembers, resolveMembership } from './membership.js';
import { optionsDisk } from './options-disk.js';

const urls = { a: 'http://10.0.0.1:2380', b: 'http://10.0.0.2:2380', c: 'http://10.0.0.3:2380' };
const initialCluster = `a=${urls.a},b=${urls.b},c=${urls.c}`;
let directory: string;
let lines: string[];
const log = (message: string, _fields?: LogFields): void => void lines.push(message);
const logger: Logger = { debug: log, info: log, warn: log, error: log };

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'conclave-membership-'));
  lines = [];
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function options(name: keyof typeof urls, more: Partial<Record<OptionName, string>> = {}): ServerOptions {
  const texts = {
    name,
    dataDir: join(directory, name),
    initialAdvertisePeerUrls: urls[name],
    initialCluster,
  };
  return optionsFrom({ ...texts, ...more }, optionsDisk).options;
}

const nobody: AskMembers = () => Promise.reject(new Error('connection refused'));
const founding = deriveFoundingIdentity(options0().initialMembers, 'a', 'etcd-cluster');

function options0(): ServerOptions {
  const texts = { name: 'a', dataDir: '/nowhere', initialAdvertisePeerUrls: urls.a, initialCluster };
  return optionsFrom(texts, optionsDisk).options;
}

function member(fields: Partial<etcdserverpb.Member>): etcdserverpb.Member {
  return etcdserverpb.Member.fromPartial(fields);
}

const view = (...members: etcdserverpb.Member[]): ClusterView => ({ clusterId: 0xc1n, members });

describe('the membership of a founding member', () => {
  it('follows from the flags, alike on all, and stays when the flags change', async () => {
    const first = await resolveMembership(options('a'), logger, nobody);
    const second = await resolveMembership(options('b'), logger, nobody);
    expect(first.identity).toMatchObject({ clusterId: founding.clusterId, memberId: founding.memberId });
    expect(second.identity.clusterId).toBe(first.identity.clusterId);
    expect(second.foundingMembers).toEqual(first.foundingMembers);
    expect([...first.others.values()]).toEqual([[urls.b], [urls.c]]);
    const again = await resolveMembership(options('a', { initialCluster: `a=${urls.a}` }), logger, nobody);
    expect(again.identity).toMatchObject({ memberId: founding.memberId });
    expect(again.foundingMembers).toEqual(first.foundingMembers);
    expect(lines).toContainEqual(expect.stringMatching(/the data directory says who this member is/));
  });

  it('is refused to one that has run before and lost its data, or was removed, or means another cluster', async () => {
    const { clusterId, members } = founding;
    const rows = members.map(({ id, name, peerUrls }) =>
      member({ ID: id, name, peerURLs: [...peerUrls], clientURLs: ['http://10.0.0.1:2379'] }),
    );
    const answer = (members: etcdserverpb.Member[], cluster = clusterId): Promise<unknown> =>
      resolveMembership(options('a'), logger, () => Promise.resolve({ clusterId: cluster, members }));
    await expect(answer(rows)).rejects.toThrow(/has run before, but --data-dir .*member remove/);
    await expect(answer(rows.slice(1))).rejects.toThrow(/was removed from the cluster/);
    await expect(answer(rows, 1n)).rejects.toThrow(/belongs to cluster 1, but --initial-cluster/);
    expect(existsSync(join(directory, 'a'))).toBe(false);
    const unstarted = rows.map((row) => ({ ...row, clientURLs: [] }));
    await expect(answer(unstarted)).resolves.toMatchObject({ identity: { clusterId } });
  });

  it('is kept from data of etcd', async () => {
    mkdirSync(join(directory, 'a', 'member', 'snap'), { recursive: true });
    writeFileSync(join(directory, 'a', 'member', 'snap', 'db'), '');
    await expect(resolveMembership(options('a'), logger, nobody)).rejects.toThrow(/data directory of etcd/);
  });
});

describe('the membership of a joining member', () => {
  const existing = { initialClusterState: 'existing' } as const;
  const pauses: number[] = [];
  const pause = (milliseconds: number): Promise<void> => Promise.resolve(void pauses.push(milliseconds));
  const others = [
    member({ ID: 1n, name: 'a', peerURLs: [urls.a], clientURLs: ['http://10.0.0.1:2379'] }),
    member({ ID: 2n, name: 'b', peerURLs: [urls.b], clientURLs: ['http://10.0.0.2:2379'] }),
  ];
  const added = member({ ID: 0xabcn, peerURLs: [urls.c] });

  it('is what the cluster says of its peer URLs, and founds nothing, not even after a restart', async () => {
    const ask: AskMembers = () => Promise.resolve(view(...others, added));
    const joined = await resolveMembership(options('c', existing), logger, ask);
    expect(joined).toMatchObject({ identity: { clusterId: 0xc1n, memberId: 0xabcn }, foundingMembers: [] });
    expect([...joined.others]).toEqual([
      [1n, [urls.a]],
      [2n, [urls.b]],
    ]);
    expect(readIdentity(join(directory, 'c', 'member'))?.foundingMembers).toEqual([]);
    const restarted = await resolveMembership(options('c'), logger, nobody);
    expect(restarted).toMatchObject({ identity: { memberId: 0xabcn }, foundingMembers: [] });
  });

  it('is looked for at one member after the other, until one has applied that it was added', async () => {
    const asked: string[] = [];
    const ask: AskMembers = (url) => {
      asked.push(url);
      if (url === urls.a) return Promise.reject(new Error('connection refused'));
      return Promise.resolve(asked.length < 6 ? view(...others) : view(...others, added));
    };
    const joined = await joinCluster(options('c', existing), ask, pause);
    expect(joined.identity.memberId).toBe(0xabcn);
    expect(asked).toEqual([urls.a, urls.b, urls.a, urls.b, urls.a, urls.b]);
    expect(pauses).toHaveLength(2);
  });

  it('is refused with what to do when the cluster does not have it, has it elsewhere, or has had it', async () => {
    const join = (...members: etcdserverpb.Member[]): Promise<unknown> =>
      joinCluster(options('c', existing), () => Promise.resolve(view(...members)), pause);
    await expect(join(...others)).rejects.toThrow(
      /has no member with the peer URLs .*etcdctl member add c --peer-urls=/,
    );
    await expect(join(member({ ID: 3n, peerURLs: [urls.c, 'http://10.9.9.9:1'] }))).rejects.toThrow(
      /member 3 of the cluster has the peer URLs .*10\.9\.9\.9.*but this member advertises/,
    );
    await expect(join(member({ ...added, name: 'c' }))).rejects.toThrow(/has run before, but --data-dir/);
    await expect(joinCluster(options('c', existing), nobody, pause)).rejects.toThrow(
      /no member of the cluster answered/,
    );
  });
});
