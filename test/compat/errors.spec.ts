import { etcdserverpb } from '@conclave/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram, MemberProcess, type MemberKind } from '../members/member-process.js';
import { compactedRevision, errorCases, grantedLease, type ErrorCase } from './errors.js';
import { RpcClient } from './rpc-client.js';

const kinds: readonly MemberKind[] = hasProgram('etcd') ? ['etcd', 'conclave'] : ['conclave'];
const raw = {
  encode: (bytes: Uint8Array) => ({ finish: () => bytes }),
  decode: (bytes: Uint8Array) => bytes,
};

describe.each(kinds)('errors of %s', (kind) => {
  let member: MemberProcess;
  let client: RpcClient;

  beforeAll(async () => {
    member = await MemberProcess.create(kind);
    await member.start();
    client = new RpcClient(member.address);
    const { PutRequest, CompactionRequest, LeaseGrantRequest } = etcdserverpb;
    const put = PutRequest.fromPartial({ key: Buffer.from('k'), value: Buffer.from('v') });
    for (let at = 0; at < 6; at++) await send('KV/Put', PutRequest.encode(put).finish());
    const compaction = { revision: compactedRevision, physical: true };
    await send('KV/Compact', CompactionRequest.encode(compaction).finish());
    const grant = { ID: grantedLease, TTL: 1_000n };
    await send('Lease/LeaseGrant', LeaseGrantRequest.encode(grant).finish());
  });

  afterAll(async () => {
    client?.close();
    await member?.remove();
  });

  const asked = errorCases.filter(
    ({ etcd34 }) => kind !== 'etcd' || etcd34 === undefined || etcd34.answer !== undefined,
  );
  it.each(asked)('$name', async ({ path, bytes, ...row }: ErrorCase) => {
    const expected = `${row.code}: ${row.message}`;
    const wanted = kind === 'etcd' && row.etcd34 !== undefined ? row.etcd34.answer : expected;
    expect(await send(path, bytes)).toBe(wanted);
  });

  async function send(path: string, bytes: Uint8Array): Promise<string> {
    const outcome = await client.call(`/etcdserverpb.${path}`, bytes, raw, raw);
    return 'ok' in outcome ? 'ok' : `${outcome.code}: ${outcome.message}`;
  }
});
