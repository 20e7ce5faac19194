import { GrpcChannel } from '@conclave/grpc';
import { etcdserverpb } from '@conclave/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemberProcess } from '../../members/member-process.js';
import { type MetricFamily, parseExposition } from './exposition.js';

type Families = Map<string, MetricFamily>;
type Ask = (path: string, body: object) => Promise<void>;

const text = (value: string): string => Buffer.from(value).toString('base64');
const key = text('k');
const put = { key, value: text('v') };

/** What is done, and by how much it moves which series at least; zero: not at all. */
const movements: readonly {
  readonly name: string;
  readonly act: (ask: Ask) => Promise<void>;
  readonly moves: Readonly<Record<string, number>>;
}[] = [
  {
    name: 'a put',
    act: (ask) => ask('kv/put', put),
    moves: {
      etcd_mvcc_put_total: 1,
      etcd_mvcc_total_put_size_in_bytes: 2,
      etcd_mvcc_delete_total: 0,
      'etcd_server_apply_duration_seconds_count{version="v3",op="Put",success="true"}': 1,
      'etcd_server_range_duration_seconds_count{success="true"}': 0,
    },
  },
  {
    name: 'a range, of one key and of more',
    async act(ask) {
      await ask('kv/range', { key });
      await ask('kv/range', { key, range_end: text('l'), serializable: true });
    },
    moves: {
      etcd_mvcc_range_total: 2,
      etcd_mvcc_put_total: 0,
      etcd_mvcc_txn_total: 0,
      'etcd_server_range_duration_seconds_count{success="true"}': 2,
    },
  },
  {
    name: 'a delete',
    act: (ask) => ask('kv/deleterange', { key }),
    moves: { etcd_mvcc_delete_total: 1, etcd_mvcc_range_total: 0 },
  },
  {
    name: 'a transaction',
    act: (ask) =>
      ask('kv/txn', {
        success: [
          { request_put: put },
          { request_range: { key } },
          { request_put: { ...put, key: text('l') } },
        ],
      }),
    moves: { etcd_mvcc_txn_total: 1, etcd_mvcc_put_total: 2, etcd_mvcc_range_total: 1 },
  },
  {
    name: 'a transaction that only reads',
    act: (ask) => ask('kv/txn', { success: [{ request_range: { key } }] }),
    moves: { etcd_mvcc_txn_total: 1, etcd_mvcc_range_total: 1, etcd_mvcc_put_total: 0 },
  },
  {
    name: 'a compaction that is waited for',
    async act(ask) {
      for (let n = 0; n < 3; n++) await ask('kv/put', put);
      await ask('kv/compaction', { revision: '7', physical: true });
    },
    moves: {
      etcd_debugging_mvcc_db_compaction_keys_total: 1,
      etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds_count: 1,
      etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_count: 1,
      etcd_disk_backend_commit_duration_seconds_count: 1,
    },
  },
  {
    name: 'leases',
    async act(ask) {
      await ask('lease/grant', { ID: '7', TTL: '60' });
      await ask('lease/revoke', { ID: '7' });
    },
    moves: {
      etcd_debugging_lease_ttl_total_count: 1,
      etcd_debugging_lease_ttl_total_sum: 60,
      'etcd_server_apply_duration_seconds_count{version="v3",op="LeaseGrant",success="true"}': 1,
      'etcd_server_apply_duration_seconds_count{version="v3",op="LeaseRevoke",success="true"}': 1,
    },
  },
  {
    name: 'a snapshot',
    act: (ask) => ask('maintenance/snapshot', {}),
    moves: { etcd_disk_backend_snapshot_duration_seconds_count: 1 },
  },
  {
    name: 'hashes and a defragmentation',
    async act(ask) {
      await ask('maintenance/hash', {});
      await ask('maintenance/hashkv', {});
      await ask('maintenance/defragment', {});
    },
    moves: {
      etcd_mvcc_hash_duration_seconds_count: 1,
      etcd_mvcc_hash_rev_duration_seconds_count: 1,
      etcd_disk_backend_defrag_duration_seconds_count: 1,
    },
  },
];

describe('metrics', () => {
  let member: MemberProcess;

  beforeAll(async () => {
    member = await MemberProcess.create('conclave', { flags: ['--quota-backend-bytes=123456789'] });
    await member.start();
  });

  afterAll(() => member?.remove());

  async function scrape(): Promise<Families> {
    return parseExposition(await (await fetch(`${member.url}/metrics`)).text());
  }

  it.each(movements)('move with $name', async ({ act, moves }) => {
    const before = await scrape();
    await act(async (path, body) => {
      const response = await fetch(`${member.url}/v3/${path}`, {
        method: 'POST',
        body: JSON.stringify(body),
      });
      expect(await response.text()).not.toContain('"error"');
    });
    const after = await scrape();
    for (const [name, least] of Object.entries(moves)) {
      const moved = valueOf(after, name) - valueOf(before, name);
      if (least === 0) expect(moved, name).toBe(0);
      else expect(moved, name).toBeGreaterThanOrEqual(least);
    }
  });

  it('count calls by the version that clients name', async () => {
    const { host, clientPort: port } = member;
    const channel = new GrpcChannel({ target: { host, port } });
    const request = etcdserverpb.RangeRequest.encode(
      etcdserverpb.RangeRequest.create({ key: Buffer.from('k') }),
    );
    const bytes = request.finish();
    await channel.unary('/etcdserverpb.KV/Range', bytes, { metadata: { 'client-api-version': '3.6' } });
    await channel.unary('/etcdserverpb.KV/Range', bytes);
    await channel.close();
    const families = await scrape();
    for (const version of ['3.6', 'unknown']) {
      const labels = `{type="unary",client_api_version="${version}"}`;
      expect(valueOf(families, `etcd_server_client_requests_total${labels}`), version).toBe(1);
    }
  });

  it('show the quota, and say of counters that they are counters', async () => {
    const families = await scrape();
    expect(valueOf(families, 'etcd_server_quota_backend_bytes')).toBe(123_456_789);
    expect(valueOf(families, 'etcd_disk_defrag_inflight')).toBe(0);
    for (const name of ['etcd_mvcc_put_total', 'etcd_debugging_lease_granted_total']) {
      expect(families.get(name)?.type).toBe('counter');
    }
  });
});

function valueOf(families: Families, series: string): number {
  const [, name = series, wanted = ''] = /^(\w+)(\{.*\})$/.exec(series) ?? [];
  const family = families.get(name) ?? families.get(name.replace(/_(count|sum)$/, ''));
  if (family === undefined) throw new Error(`there is no ${name}`);
  const sample = family.samples.find((one) => one.name === name && one.labels === wanted);
  // A series with labels appears when it first happens.
  if (sample === undefined && wanted !== '') return 0;
  if (sample === undefined) throw new Error(`there is no ${series}`);
  return sample.value;
}
