import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GrpcChannel, nodeRuntime } from '@conclave/grpc';
import { etcdserverpb } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { type EmbeddedMember, OptionsError, startEmbedded } from './embed.js';

const call = async (
  member: Pick<EmbeddedMember, 'endpoint'>,
  path: string,
  body: unknown,
): Promise<Record<string, unknown>> => {
  const response = await fetch(member.endpoint + path, { method: 'POST', body: JSON.stringify(body) });
  return (await response.json()) as Record<string, unknown>;
};
const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** One put over a connection of this process. Gives its revision. */
const callInside = async (member: EmbeddedMember, key: string, value: string): Promise<bigint> => {
  const channel = new GrpcChannel(
    { target: { host: 'inside', port: 1 } },
    { ...nodeRuntime, connect: () => member.connect() },
  );
  const request = etcdserverpb.PutRequest.encode(
    etcdserverpb.PutRequest.create({ key: Buffer.from(key), value: Buffer.from(value) }),
  );
  const { message } = await channel.unary('/etcdserverpb.KV/Put', request.finish());
  await channel.close();
  return etcdserverpb.PutResponse.decode(message).header!.revision;
};

describe('startEmbedded', () => {
  it('runs several members in one process without a port or a file, each a cluster of its own', async () => {
    const members = await Promise.all([startEmbedded(), startEmbedded(), startEmbedded({ port: 0 })]);
    expect(members.map(({ endpoint }) => endpoint)).toEqual([
      undefined,
      undefined,
      expect.stringMatching(/^http:/),
    ]);
    expect(await Promise.all(members.map((member) => callInside(member, 'a', 'b')))).toEqual([2n, 2n, 2n]);
    expect(await callInside(members[0], 'a', 'x'.repeat(1_500_000))).toBe(3n);
    await Promise.all(members.map((member) => member.stop()));
    await expect(callInside(members[0], 'a', 'b')).rejects.toThrow();
  });

  it('serves clients and keeps data, ids and term order over a restart', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'conclave-embed-'));
    try {
      const first = await startEmbedded({ dataDir, port: 0 });
      expect(await call(first, '/v3/kv/put', { key: base64('foo'), value: base64('bar') })).toMatchObject({
        header: { revision: '2' },
      });
      const before = await call(first, '/v3/cluster/member/list', {});
      await first.stop();
      const second = await startEmbedded({ dataDir, port: 0, options: { maxTxnOps: '64' } });
      expect(await call(second, '/v3/kv/range', { key: base64('foo') })).toMatchObject({
        kvs: [{ key: base64('foo'), value: base64('bar'), mod_revision: '2' }],
      });
      const after = await call(second, '/v3/cluster/member/list', {});
      expect((after['header'] as Record<string, string>)['member_id']).toBe(
        (before['header'] as Record<string, string>)['member_id'],
      );
      expect((after['members'] as Record<string, unknown>[])[0]?.['clientURLs']).toEqual([second.endpoint]);
      await second.stop();
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  });

  it('ends open watches with a reason when it stops', async () => {
    const member = await startEmbedded({ port: 0 });
    const watch = await fetch(`${member.endpoint}/v3/watch`, {
      method: 'POST',
      body: JSON.stringify({ create_request: { key: base64('a') } }),
    });
    const text = watch.text();
    await member.stop();
    expect(await text).toMatch(/"created":true.*\n\{"error":.*server stopped/s);
    await expect(fetch(`${member.endpoint}/version`)).rejects.toThrow();
  });

  it('reports wrong options and ports in use, and leaves nothing behind', async () => {
    await expect(startEmbedded({ options: { electionTimeout: '1' } })).rejects.toThrow(OptionsError);
    const taken = createServer();
    await once(taken.listen(0, '127.0.0.1'), 'listening');
    await expect(startEmbedded({ port: (taken.address() as AddressInfo).port })).rejects.toThrow(/is in use/);
    taken.close();
  });
});
