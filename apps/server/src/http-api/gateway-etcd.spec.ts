import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedMember, startEmbedded } from '../embed.js';

const hasEtcd = spawnSync('etcd', ['--version']).status === 0;

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A running etcd, started once its JSON API answers. */
async function startEtcd(dataDir: string, clientUrl: string, peerUrl: string): Promise<ChildProcess> {
  const etcd = spawn(
    'etcd',
    [
      `--data-dir=${dataDir}`,
      `--listen-client-urls=${clientUrl}`,
      `--advertise-client-urls=${clientUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
    ],
    { stdio: 'ignore' },
  );
  for (;;) {
    const isUp = await fetch(`${clientUrl}/health`).then(
      (response) => response.ok,
      () => false,
    );
    if (isUp || etcd.exitCode !== null) return etcd;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const b64 = (text: string): string => Buffer.from(text).toString('base64');

/** Requests whose answers must be the same, in this order, on two fresh stores. */
const conversation: readonly (readonly [path: string, body: unknown])[] = [
  ['/v3/kv/put', { key: b64('a'), value: b64('1') }],
  ['/v3/kv/put', { key: b64('a'), value: b64('2'), prev_kv: true }],
  ['/v3/kv/put', { key: b64('b'), value: '' }],
  ['/v3beta/kv/range', { key: b64('a'), rangeEnd: b64('c') }],
  ['/v3/kv/range', { key: b64('a'), range_end: b64('c'), sort_order: 'DESCEND', sort_target: 1, limit: '1' }],
  ['/v3/kv/range', { key: b64('a'), revision: 2, keys_only: true }],
  ['/v3/kv/range', { key: b64('a'), range_end: 'AA==', count_only: true }],
  ['/v3/kv/range', { key: b64('a'), revision: '99' }],
  ['/v3/kv/range', {}],
  ['/v3/kv/put', { key: b64('a'), value: 'YQ==', ignore_value: true }],
  ['/v3/kv/put', { key: b64('a'), lease: '123' }],
  [
    '/v3/kv/txn',
    {
      compare: [{ target: 'VERSION', result: 'GREATER', key: b64('a'), version: '1' }],
      success: [{ requestPut: { key: b64('c') } }, { request_range: { key: b64('a') } }],
      failure: [{ requestDeleteRange: { key: b64('a') } }],
    },
  ],
  ['/v3/kv/txn', { compare: [{ target: 'CREATE', key: b64('zz'), createRevision: 5 }] }],
  ['/v3/kv/txn', { success: [{ request_put: { key: b64('x') } }, { request_put: { key: b64('x') } }] }],
  ['/v3/kv/deleterange', { key: b64('b'), prev_kv: true }],
  ['/v3/kv/deleterange', { key: b64('nothing') }],
  ['/v3/lease/grant', { ID: '7587862072907233792', TTL: 600 }],
  ['/v3/lease/grant', { ID: 7587862072907233792n.toString(), TTL: 600 }],
  ['/v3/kv/put', { key: b64('leased'), lease: '7587862072907233792' }],
  ['/v3/lease/leases', {}],
  ['/v3/kv/lease/revoke', { ID: '7587862072907233792' }],
  ['/v3/lease/revoke', { ID: '1' }],
  ['/v3/lease/timetolive', { ID: '1' }],
  ['/v3/kv/compaction', { revision: '4' }],
  ['/v3/kv/compaction', { revision: '4' }],
  ['/v3/kv/range', { key: b64('a'), revision: 2 }],
];

/** What both must agree on: the body without terms, and of an error its code and message. */
function comparable(body: unknown): unknown {
  if (Array.isArray(body)) return body.map(comparable);
  if (typeof body !== 'object' || body === null) return body;
  if ('error' in body && 'code' in body) return { error: body.error, code: body.code };
  const entries = Object.entries(body).filter(([name]) => name !== 'raft_term');
  return Object.fromEntries(entries.map(([name, value]) => [name, comparable(value)]));
}

async function ask(url: string, path: string, body: unknown): Promise<unknown> {
  const response = await fetch(url + path, { method: 'POST', body: JSON.stringify(body) });
  return comparable(await response.json());
}

describe.skipIf(!hasEtcd)('the JSON API beside a running etcd', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'conclave-gateway-etcd-'));
  let etcd: ChildProcess | undefined;
  let etcdUrl: string;
  let member: (EmbeddedMember & { readonly endpoint: string }) | undefined;

  beforeAll(async () => {
    etcdUrl = `http://127.0.0.1:${await freePort()}`;
    const peerUrl = `http://127.0.0.1:${await freePort()}`;
    etcd = await startEtcd(dataDir, etcdUrl, peerUrl);
    // The same peer URL and token give the same ids, so that even headers are equal.
    const ids = { initialAdvertisePeerUrls: peerUrl, initialClusterToken: 'etcd-cluster' };
    member = await startEmbedded({ port: 0, options: ids });
  });

  afterAll(async () => {
    await member?.stop();
    if (etcd !== undefined && etcd.exitCode === null) {
      etcd.kill('SIGKILL');
      await once(etcd, 'exit');
    }
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('gives the same answers to the same conversation', async () => {
    if (member === undefined) throw new Error('the member runs');
    for (const [index, [path, body]] of conversation.entries()) {
      const expected = await ask(etcdUrl, path, body);
      expect([index, path, await ask(member.endpoint, path, body)]).toEqual([index, path, expected]);
    }
  });

  it('answers a keep-alive in the same form', async () => {
    if (member === undefined) throw new Error('the member runs');
    const texts = [];
    for (const url of [etcdUrl, member.endpoint]) {
      await ask(url, '/v3/lease/grant', { ID: '77', TTL: 500 });
      const response = await fetch(`${url}/v3/lease/keepalive`, { method: 'POST', body: '{"ID":"77"}' });
      texts.push((await response.text()).replace(/"(revision|raft_term)":"\d+"/g, '"$1":"n"'));
    }
    expect(texts[1]).toBe(texts[0]);
  });
});
