import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MemberCluster } from '../../members/member-cluster.js';
import { hasProgram, MemberProcess, type MemberProcessOptions } from '../../members/member-process.js';
import { TestAuthority } from '../grpc-interop/certificates.js';
import { runEtcdctl } from '../server/command.js';
import { ClusterFixture } from './cluster-fixture.js';

const waiting = { timeout: 30_000, interval: 20 };
const open: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const end of open.splice(0).reverse()) await end();
});

async function start(size: number, options: MemberProcessOptions = {}): Promise<ClusterFixture> {
  const fixture = await ClusterFixture.start(size, options);
  open.push(() => fixture.end());
  return fixture;
}

async function create(options: MemberProcessOptions = {}): Promise<MemberProcess> {
  const member = await MemberProcess.create('conclave', options);
  open.push(() => member.remove());
  return member;
}

/** Starts it, and gives the diagnosis with which it must end. */
async function refusal(member: MemberProcess): Promise<string> {
  expect(await member.startExpectingEnd()).toBe(1);
  const fatal = member.output.split('\n').find((line) => line.includes('"level":"fatal"')) ?? '{}';
  return (JSON.parse(fatal) as { error?: string }).error ?? member.output;
}

describe('the peer port', () => {
  it('that is taken is named, with what to do', async () => {
    const member = await create();
    const blocker: Server = createServer();
    await new Promise<void>((resolve) => blocker.listen(member.peerPort, '127.0.0.1', resolve));
    open.push(() => new Promise<void>((resolve) => void blocker.close(() => resolve())));
    const diagnosis = await refusal(member);
    expect(diagnosis).toMatch(/--listen-peer-urls: http:\/\/127\.0\.0\.1:\d+ is in use/);
    expect(diagnosis).toMatch(/another port/);
  });

  it('of a single member listens, too: others can be added later', async () => {
    const member = await create();
    await member.start();
    const members = (await (await fetch(`${member.peerUrl}/members`)).json()) as { name: string }[];
    expect(members.map(({ name }) => name)).toEqual(['test']);
    expect((await fetch(`${member.peerUrl}/version`)).status).toBe(200);
    expect((await fetch(`${member.peerUrl}/other`)).status).toBe(404);
    expect((await fetch(`${member.peerUrl}/members`, { method: 'POST' })).status).toBe(405);
  });
});

describe('a member that starts for the first time', () => {
  it('does not come back under its id after its data was lost', async () => {
    const fixture = await start(3);
    await fixture.client().kv.put('kept', '1');
    const [member] = fixture.members;
    await member!.stop('SIGKILL');
    rmSync(member!.dataDirectory, { recursive: true });
    expect(await refusal(member!)).toMatch(/has run before, but --data-dir .* is empty.*member remove/);
    expect(readdirSync(member!.directory)).toEqual([]);
    expect((await fixture.client(fixture.members.slice(1)).kv.get('kept'))?.text).toBe('1');
  });

  it('is refused when its flags mean another cluster than that of the running members', async () => {
    const cluster = await MemberCluster.create('conclave', 2);
    open.push(() => cluster.remove());
    await cluster.start();
    const [first, second] = cluster.members;
    const place = {
      name: 'm2',
      clientPort: second!.clientPort,
      peerPort: second!.peerPort,
      initialCluster: `m1=${first!.peerUrl},m2=${second!.peerUrl},m3=http://127.0.0.1:1`,
      state: 'new' as const,
    };
    await second!.stop('SIGKILL');
    const other = await create({ place });
    expect(await refusal(other)).toMatch(
      /belongs to cluster [0-9a-f]+, but --initial-cluster .* found cluster/,
    );
  });

  it('is told to be added first when the cluster that it joins does not expect it', async () => {
    const fixture = await start(1);
    const stranger = await fixture.cluster.prepareJoining('stranger');
    expect(await refusal(stranger)).toMatch(
      /has no member with the peer URLs .*etcdctl member add stranger --peer-urls=/,
    );
    expect(readdirSync(stranger.directory)).toEqual([]);
  });

  it('says when nobody of the cluster that it joins answers', async () => {
    const fixture = await start(1);
    const joining = await fixture.cluster.prepareJoining('late');
    await fixture.members[0]!.stop('SIGKILL');
    expect(await refusal(joining)).toMatch(/cannot join: no member of the cluster answered at http:\/\/127/);
  });
});

describe.skipIf(!hasProgram('etcdctl'))('a member that joins', () => {
  it('is added, catches up, serves, comes back after a crash, and ends when it is removed', async () => {
    const fixture = await start(3);
    const client = fixture.client();
    for (let i = 0; i < 50; i++) await client.kv.put(`early/${i}`, String(i));
    const founders = [...fixture.members];
    const joining = await fixture.cluster.prepareJoining('m4');
    const added = await runEtcdctl(founders[0]!.address, [
      'member',
      'add',
      'm4',
      `--peer-urls=${joining.peerUrl}`,
    ]);
    expect([added.code, added.stderr]).toEqual([0, '']);
    await joining.start();
    const own = fixture.client([joining]);
    expect((await own.kv.range('early/', { prefix: true, countOnly: true })).count).toBe(50n);
    await own.kv.put('through-new', '1');
    expect((await fixture.client([founders[0]!]).kv.get('through-new'))?.text).toBe('1');
    await joining.stop('SIGKILL');
    await client.kv.put('while-down', '2');
    await joining.start();
    expect((await fixture.client([joining]).kv.get('while-down'))?.text).toBe('2');
    const id = (await fixture.status(joining)).header!.member_id.toString(16);
    const removed = await runEtcdctl(founders[0]!.address, ['member', 'remove', id]);
    expect([removed.code, removed.stderr]).toEqual([0, '']);
    expect(await joining.ended()).toBe(0);
    expect(joining.output).toMatch(/was removed from the cluster/);
    // It learns it again when it is started once more, from members that refuse it.
    expect(await joining.startExpectingEnd()).toBe(0);
    await client.kv.put('afterwards', '3');
  });
});

describe('TLS between members', () => {
  it('is required of everybody when certificates are asked for', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'conclave-peer-tls-'));
    open.push(() => rmSync(folder, { recursive: true, force: true }));
    const authority = new TestAuthority(folder);
    authority.issue('member');
    const flags = [
      `--peer-cert-file=${join(folder, 'member.pem')}`,
      `--peer-key-file=${join(folder, 'member.key')}`,
      `--peer-trusted-ca-file=${authority.certificatePath}`,
      '--peer-client-cert-auth',
    ];
    const cluster = await MemberCluster.create('conclave', 3, { flags, peerScheme: 'https' });
    open.push(() => cluster.remove());
    await cluster.start();
    expect(cluster.members[0]!.peerUrl).toMatch(/^https:/);
    const outcomes = await Promise.allSettled(
      [cluster.members[0]!.peerUrl, cluster.members[0]!.peerUrl.replace('https', 'http')].map((url) =>
        fetch(`${url}/members`),
      ),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await vi.waitFor(async () => {
      const text = await (await fetch(`${cluster.members[0]!.url}/metrics`)).text();
      expect(text.match(/^etcd_network_active_peers\{.*\} 2$/gm)).toHaveLength(2);
    }, waiting);
  });
});
