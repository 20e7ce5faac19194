import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { etcdserverpb } from '@conclave/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { RpcClient } from '../../compat/rpc-client.js';
import { hasProgram, MemberProcess, type MemberProcessOptions } from '../../members/member-process.js';

const { PutRequest, PutResponse, RangeRequest, RangeResponse, StatusResponse } = etcdserverpb;
const started: MemberProcess[] = [];
const clients: RpcClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await Promise.all(started.splice(0).map((member) => member.remove()));
});

async function create(
  options: MemberProcessOptions = {},
  kind: 'conclave' | 'etcd' = 'conclave',
): Promise<MemberProcess> {
  const member = await MemberProcess.create(kind, options);
  started.push(member);
  return member;
}

function clientOf(member: MemberProcess): RpcClient {
  const client = new RpcClient(member.address);
  clients.push(client);
  return client;
}

async function put(client: RpcClient, key: string): Promise<boolean> {
  const request = PutRequest.fromPartial({ key: Buffer.from(key), value: Buffer.from(key) });
  return 'ok' in (await client.call('/etcdserverpb.KV/Put', request, PutRequest, PutResponse));
}

async function keys(client: RpcClient): Promise<Set<string>> {
  const request = RangeRequest.fromPartial({ key: Buffer.from([0]), range_end: Buffer.from([0]) });
  const outcome = await client.call('/etcdserverpb.KV/Range', request, RangeRequest, RangeResponse);
  if (!('ok' in outcome)) throw new Error(outcome.message);
  return new Set(outcome.ok.kvs.map((kv) => kv.key.toString()));
}

async function header(member: MemberProcess): Promise<etcdserverpb.ResponseHeader> {
  const path = '/etcdserverpb.Maintenance/Status';
  const outcome = await clientOf(member).call(path, {}, etcdserverpb.StatusRequest, StatusResponse);
  if (!('ok' in outcome)) throw new Error(outcome.message);
  return outcome.ok.header!;
}

/** A member that ran, holds one key, and was stopped. */
async function stoppedMember(): Promise<MemberProcess> {
  const member = await create();
  await member.start();
  expect(await put(clientOf(member), 'kept')).toBe(true);
  await member.stop('SIGTERM');
  expect(await member.ended()).toBe(0);
  return member;
}

/** Starts it, and gives the diagnosis with which it must end. */
async function refusal(member: MemberProcess): Promise<string> {
  expect(await member.startExpectingEnd()).toBe(1);
  const fatal = member.output.split('\n').filter((line) => line.includes('"level":"fatal"'));
  expect(fatal, member.output).toHaveLength(1);
  expect(member.output).not.toContain('ready to serve');
  return (JSON.parse(fatal[0]) as { error: string }).error;
}

describe('conclave server', () => {
  it('says what supervisors and scripts wait for', async () => {
    const member = await create();
    await member.start();
    for (const line of ['published', 'ready to serve client requests']) expect(member.output).toContain(line);
    while (!member.output.includes('enabled capabilities for version')) await put(clientOf(member), 'wait');
  });

  it('reports all mistakes in its flags at once', async () => {
    const member = await create({
      flags: [
        '--heartbeat-interval=0',
        '--max-txn-ops=many',
        '--snapshot-cuont=5',
        '--auto-compaction-mode=never',
      ],
    });
    const code = await member.startExpectingEnd();
    expect(code).not.toBe(0);
    for (const name of ['heartbeat-interval', 'max-txn-ops', 'snapshot-cuont', 'auto-compaction-mode']) {
      expect(member.output).toContain(name);
    }
    expect(member.output).toContain('snapshot-count');
    expect(member.output).not.toContain('starting a member');
  });

  it('refuses a data directory that another process uses, and does not disturb that one', async () => {
    const member = await create();
    await member.start();
    const second = await create({ directory: member.directory });
    const diagnosis = await refusal(second);
    expect(diagnosis).toContain(member.dataDirectory);
    expect(diagnosis).toMatch(/in use by another process.*Stop that process/);
    expect(await put(clientOf(member), 'still')).toBe(true);
  });

  it('refuses a data directory that cannot be written', async () => {
    const member = await create();
    writeFileSync(member.dataDirectory, 'a file where the directory should be');
    const diagnosis = await refusal(member);
    expect(diagnosis).toContain(member.dataDirectory);
  });

  it('refuses data of a newer format, and says who can read it', async () => {
    const member = await stoppedMember();
    const path = join(member.dataDirectory, 'member', 'identity.json');
    const identity = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    writeFileSync(path, JSON.stringify({ ...identity, format: 2 }));
    const diagnosis = await refusal(member);
    expect(diagnosis).toContain(path);
    expect(diagnosis).toMatch(/format 2.*reads 1.*newer version/);
  });

  it('refuses a log that the disk changed, with the place and the remedy', async () => {
    const member = await stoppedMember();
    const [segment] = segmentsOf(member);
    const bytes = readFileSync(segment);
    bytes[200] ^= 0xff;
    writeFileSync(segment, bytes);
    const diagnosis = await refusal(member);
    expect(diagnosis).toContain(segment);
    expect(diagnosis).toMatch(/damaged.*offset \d+.*Check the disk/);
  });

  it.skipIf(!hasProgram('etcd'))(
    "refuses etcd's own data directory, and leaves it usable for etcd",
    async () => {
      const etcd = await create({}, 'etcd');
      await etcd.start();
      expect(await put(clientOf(etcd), 'theirs')).toBe(true);
      await etcd.stop('SIGTERM');
      const before = digests(etcd.dataDirectory);
      const ours = await create({ directory: etcd.directory });
      expect(await refusal(ours)).toMatch(/is a data directory of etcd; it was left as it is/);
      expect([...digests(etcd.dataDirectory)]).toEqual([...before]);
      await etcd.start();
      expect(await keys(clientOf(etcd))).toEqual(new Set(['theirs']));
    },
  );

  it('keeps its data and ids over a restart, whatever the flags of its first start say now', async () => {
    const member = await create();
    await member.start();
    const first = await header(member);
    expect(await put(clientOf(member), 'kept')).toBe(true);
    await member.stop('SIGTERM');
    await member.start();
    expect(await keys(clientOf(member))).toEqual(new Set(['kept']));
    await member.stop('SIGTERM');
    // Another member process has other ports, and so other peer URLs than the cluster was founded with.
    const moved = await create({ directory: member.directory });
    await moved.start();
    const { cluster_id, member_id } = await header(moved);
    expect({ cluster_id, member_id }).toEqual({ cluster_id: first.cluster_id, member_id: first.member_id });
    expect(await keys(clientOf(moved))).toEqual(new Set(['kept']));
  });

  it('refuses the data of another cluster than the one it is told', async () => {
    const member = await create({ flags: ['--initial-cluster-token=ours'] });
    await member.start();
    await member.stop('SIGTERM');
    const other = await create({ directory: member.directory, flags: ['--initial-cluster-token=theirs'] });
    expect(await refusal(other)).toMatch(/holds data of cluster [0-9a-f]+ .token .*ours.*theirs/);
  });

  it('answers what is in flight when it is told to stop, and forgets nothing that it acknowledged', async () => {
    const member = await create();
    await member.start();
    const client = clientOf(member);
    expect(await put(client, 'first')).toBe(true);
    const names = Array.from({ length: 300 }, (_, at) => `inflight/${at}`);
    const answers = names.map((name) => put(client, name));
    await Promise.race(answers);
    await member.stop('SIGTERM');
    expect(await member.ended()).toBe(0);
    const isAcknowledged = await Promise.all(answers);
    const acknowledged = names.filter((_, at) => isAcknowledged[at]);
    expect(acknowledged.length).toBeGreaterThan(0);
    await member.start();
    const stored = await keys(clientOf(member));
    expect(acknowledged.filter((name) => !stored.has(name))).toEqual([]);
  });

  it.skipIf(!hasProgram('etcd'))('has the ids that etcd has under the same flags', async () => {
    const member = await create();
    const peerUrl = `http://127.0.0.1:${member.peerPort}`;
    const flags = [
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=test=${peerUrl}`,
    ];
    const etcd = await create({ flags }, 'etcd');
    await etcd.start();
    const { cluster_id, member_id } = await header(etcd);
    await etcd.stop('SIGTERM');
    await member.start();
    expect(await header(member)).toMatchObject({ cluster_id, member_id });
  });
});

function segmentsOf(member: MemberProcess): string[] {
  const directory = join(member.dataDirectory, 'member', 'wal');
  const names = readdirSync(directory).filter((name) => name.endsWith('.wal'));
  return names.sort().map((name) => join(directory, name));
}

/** The content of every file below a directory, as digests by path. */
function digests(directory: string): Map<string, string> {
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) =>
    join(directory, name),
  );
  const files = paths.filter((path) => statSync(path).isFile());
  return new Map(files.map((path) => [path, createHash('sha256').update(readFileSync(path)).digest('hex')]));
}
