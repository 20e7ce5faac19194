import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram, MemberProcess } from '../../members/member-process.js';
import { runCommand } from './command.js';
import { parseExposition } from './exposition.js';
import { RunningCommand } from './running-command.js';

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly version: string;
  readonly text: string;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** What the gateway says is compared with etcd's beside its code; here a foreign client speaks to a real process. */
describe.skipIf(!hasProgram('curl'))('the JSON API, asked by curl', () => {
  let member: MemberProcess;

  beforeAll(async () => {
    member = await MemberProcess.create('conclave');
    await member.start();
  });

  afterAll(async () => {
    await member?.remove();
  });

  async function curl(path: string, body?: string | Buffer, ...args: readonly string[]): Promise<Answer> {
    const format = '\n%{http_code} %{http_version} %{content_type}';
    const data = body === undefined ? [] : ['--data-binary', '@-'];
    const { code, stdout, stderr } = await runCommand(
      'curl',
      ['-sS', '-m', '30', '-w', format, ...data, ...args, `${member.url}${path}`],
      { input: body },
    );
    if (code !== 0) throw new Error(`curl ${path} ended with ${code}: ${stderr}`);
    const text = stdout.toString('utf8');
    const end = text.lastIndexOf('\n');
    const [status, version, ...type] = text.slice(end + 1).split(' ');
    return { status: Number(status), version, type: type.join(' '), text: text.slice(0, end) };
  }

  async function post(path: string, body: unknown): Promise<Record<string, unknown>> {
    const { status, text } = await curl(path, JSON.stringify(body));
    expect(status).toBe(200);
    return JSON.parse(text) as Record<string, unknown>;
  }

  it('puts, ranges and does a transaction', async () => {
    expect(await post('/v3/kv/put', { key: base64('a'), value: base64('1') })).toMatchObject({
      header: { revision: '2', raft_term: expect.stringMatching(/^\d+$/) as string },
    });
    const kv = {
      key: base64('a'),
      create_revision: '2',
      mod_revision: '2',
      version: '1',
      value: base64('1'),
    };
    expect(await post('/v3/kv/range', { key: base64('a') })).toMatchObject({ kvs: [kv], count: '1' });
    const txn = {
      compare: [{ target: 'VALUE', key: base64('a'), value: base64('1') }],
      success: [{ requestPut: { key: base64('a'), value: base64('2') } }],
      failure: [],
    };
    const done = { succeeded: true, responses: [{ response_put: { header: { revision: '3' } } }] };
    expect(await post('/v3/kv/txn', txn)).toMatchObject(done);
    expect((await post('/v3/kv/txn', txn))['succeeded']).toBeUndefined();
  });

  it('streams a watch, line by line, after its request has ended', async () => {
    const create = { create_request: { key: base64('w'), range_end: base64('x') } };
    const watch = new RunningCommand('curl', [
      '-sSN',
      '-d',
      JSON.stringify(create),
      `${member.url}/v3/watch`,
    ]);
    const [created] = await watch.lines(1);
    expect(JSON.parse(created)).toMatchObject({ result: { created: true } });
    await post('/v3/kv/put', { key: base64('w/1'), value: base64('1') });
    await post('/v3/kv/deleterange', { key: base64('w/1') });
    const [, put, deleted] = await watch.lines(3);
    expect(JSON.parse(put)).toMatchObject({ result: { events: [{ kv: { key: base64('w/1') } }] } });
    expect(JSON.parse(deleted)).toMatchObject({ result: { events: [{ type: 'DELETE' }] } });
    await watch.stop();
  });

  it('keeps a lease alive', async () => {
    await post('/v3/lease/grant', { ID: '77', TTL: '100' });
    expect(await post('/v3/lease/keepalive', { ID: '77' })).toMatchObject({
      result: { ID: '77', TTL: '100' },
    });
    expect(await post('/v3/lease/timetolive', { ID: '77', keys: true })).toMatchObject({ grantedTTL: '100' });
    await post('/v3/lease/revoke', { ID: '77' });
    expect(await post('/v3/lease/keepalive', { ID: '77' })).toMatchObject({ result: { ID: '77' } });
  });

  it('says how it is and what it is', async () => {
    expect(JSON.parse((await curl('/health')).text)).toEqual({ health: 'true', reason: '' });
    expect(await curl('/livez')).toMatchObject({ status: 200, text: 'ok\n' });
    expect((await curl('/readyz?verbose')).text).toContain('[+]linearizable_read ok');
    const version = JSON.parse((await curl('/version')).text) as Record<string, string>;
    expect(version['etcdserver']).toMatch(/^3\.6\.\d+$/);
    expect(version['etcdcluster']).toMatch(/^3\.6\.0$/);
  });

  it('serves metrics in the text format, with the names of the official dashboards', async () => {
    const { status, type, text } = await curl('/metrics');
    expect(status).toBe(200);
    expect(type).toMatch(/^text\/plain; version=0\.0\.4/);
    const families = parseExposition(text);
    for (const name of [
      'etcd_server_has_leader',
      'etcd_server_is_leader',
      'etcd_server_proposals_committed_total',
      'etcd_disk_wal_fsync_duration_seconds',
      'etcd_mvcc_db_total_size_in_bytes',
      'etcd_debugging_mvcc_keys_total',
      'grpc_server_handled_total',
      'process_resident_memory_bytes',
    ]) {
      expect(families.has(name), name).toBe(true);
    }
  });

  it.each([
    ['an unknown path', '/nothing', undefined, [], 404],
    ['an unknown method of the API', '/v3/kv/nothing', '{}', [], 404],
    ['another HTTP method', '/v3/kv/range', undefined, ['-X', 'GET'], 405],
    ['what is not JSON', '/v3/kv/range', '{"key":', [], 400],
    ['what is not an object', '/v3/kv/range', '[]', [], 400],
    ['what is not base64', '/v3/kv/range', '{"key":"!!"}', [], 400],
    ['a number that is none', '/v3/kv/range', '{"key":"YQ==","limit":"many"}', [], 400],
    ['a number beyond 64 bits', '/v3/kv/range', '{"key":"YQ==","limit":"9223372036854775808"}', [], 400],
    ['what is too deep', '/v3/kv/txn', deep(100_000), [], 400],
  ] as const)('refuses %s with a JSON error', async (_name, path, body, args, expected) => {
    const { status, type, text } = await curl(path, body, ...args);
    expect({ status, text }).toMatchObject({ status: expected });
    expect(type).toMatch(/^application\/json/);
    const error = JSON.parse(text) as Record<string, unknown>;
    expect(error).toMatchObject({
      code: expect.any(Number) as number,
      message: expect.any(String) as string,
    });
    expect(error['error']).toBe(error['message']);
  });

  it('refuses a body that is too large, and goes on', async () => {
    const body = JSON.stringify({ key: base64('big'), value: base64('x'.repeat(4 << 20)) });
    const { status, text } = await curl('/v3/kv/put', body);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(JSON.parse(text)).toMatchObject({ message: expect.stringMatching(/large/) as string });
    expect(await post('/v3/kv/range', { key: base64('big') })).not.toHaveProperty('kvs');
  });

  it('speaks HTTP/2 with prior knowledge, for requests and for streams', async () => {
    const { status, version, text } = await curl('/v3/kv/range', '{"key":"YQ=="}', '--http2-prior-knowledge');
    expect({ status, version }).toEqual({ status: 200, version: '2' });
    expect(JSON.parse(text)).toMatchObject({ count: '1' });
    const create = JSON.stringify({ create_request: { key: base64('a'), start_revision: '1' } });
    const args = ['-sSN', '--http2-prior-knowledge', '-d', create, `${member.url}/v3/watch`];
    const watch = new RunningCommand('curl', args);
    const lines = await watch.lines(2);
    expect(JSON.parse(lines[1])).toMatchObject({ result: { events: [{ kv: { key: base64('a') } }, {}] } });
    await watch.stop();
  });
});

/** A transaction inside of a transaction, many times. */
function deep(levels: number): string {
  return `${'{"success":[{"request_txn":'.repeat(levels)}{}${'}]}'.repeat(levels)}`;
}
