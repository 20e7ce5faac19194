import { type IncomingMessage, request as httpRequest } from 'node:http';
import { duplexPair } from 'node:stream';
import { ProtocolError } from '@conclave/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AccessPolicy } from './access-policy.js';
import { HttpFront } from './http-front.js';
import { type HttpHarness, startHttpHarness } from './testing/http-harness.js';
import { sendWatch } from './testing/memory-methods.js';

let harness: HttpHarness;

beforeEach(async () => {
  harness = await startHttpHarness();
  await harness.install();
});

afterEach(async () => {
  await harness.close();
  expect(harness.defects).toEqual([]);
});

const post = (path: string, body: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(harness.url + path, { method: 'POST', body, headers });

/** Polls a condition that the server fulfils on its own time. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** A raw request with any header; fetch would not send some of them. */
function raw(
  path: string,
  headers: Record<string, string>,
  method = 'GET',
): Promise<{ status: number; headers: Record<string, unknown>; body: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(harness.url + path, { method, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
    });
    request.on('error', reject);
    request.end();
  });
}

describe('unary calls', () => {
  it('translates a put and a range, whatever the content type', async () => {
    const put = await post('/v3/kv/put', '{"key":"Zm9v","value":"YmFy"}', {
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect(put.status).toBe(200);
    expect(put.headers.get('content-type')).toMatch(/^application\/json/);
    const header = {
      cluster_id: '14841639068965178418',
      member_id: '10276657743932975437',
      revision: '2',
      raft_term: '3',
    };
    expect(await put.json()).toEqual({ header });
    const range = await post('/v3beta/kv/range', '{"key":"Zm9v"}');
    expect(await range.json()).toEqual({
      header,
      kvs: [{ key: 'Zm9v', create_revision: '2', mod_revision: '2', version: '1', value: 'YmFy' }],
      count: '1',
    });
  });

  it('hands on the token with and without Bearer', async () => {
    await post('/v3/kv/put', '{"key":"YQ=="}', { authorization: 'abc.1' });
    await post('/v3/kv/put', '{"key":"YQ=="}', { authorization: 'Bearer abc.2' });
    expect(harness.methods.tokens).toEqual(['abc.1', 'abc.2']);
  });

  it('tells errors in all three fields with the status of their code', async () => {
    const response = await post('/v3/kv/put', '');
    expect(response.status).toBe(400);
    const message = 'etcdserver: key is not provided';
    expect(await response.json()).toEqual({ error: message, code: 3, message, details: [] });
  });

  it('answers malformed bodies with 400 and code 3', async () => {
    const bad = [
      'nonsense',
      '{"key":"***"}',
      '{"key":',
      '{"lease":1e400}',
      '[]',
      `${'{"a":'.repeat(60)}1${'}'.repeat(60)}`,
      '{"key":"YQ=="}{"key":"YQ=="}',
    ];
    for (const body of bad) {
      const response = await post('/v3/kv/put', body);
      expect([body, response.status, ((await response.json()) as { code: number }).code]).toEqual([
        body,
        400,
        3,
      ]);
    }
  });

  it('bounds the size of messages and of bodies', async () => {
    const large = await post(
      '/v3/kv/put',
      JSON.stringify({ key: 'YQ==', value: Buffer.alloc(5_000).toString('base64') }),
    );
    expect([large.status, ((await large.json()) as { code: number }).code]).toEqual([429, 8]);
    const huge = await post('/v3/kv/put', `{"value":"${'A'.repeat(200_000)}"}`);
    expect(huge.status).toBe(413);
  });

  it('refuses other methods, unknown paths and methods that the member does not serve', async () => {
    const get = await fetch(`${harness.url}/v3/kv/put`);
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);
    const unknown = await post('/v3/nothing', '{}');
    expect([unknown.status, await unknown.json()]).toEqual([
      404,
      { error: 'Not Found', code: 5, message: 'Not Found', details: [] },
    ]);
    const outside = await fetch(`${harness.url}/nothing`);
    expect([outside.status, ((await outside.json()) as { code: number }).code]).toEqual([404, 5]);
    const unserved = await post('/v3/kv/txn', '{}');
    expect([unserved.status, ((await unserved.json()) as { message: string }).message]).toEqual([
      501,
      'unknown method Txn for service etcdserverpb.KV',
    ]);
  });

  it('cancels the call when the client goes away, and ends it at the deadline that the client set', async () => {
    const controller = new AbortController();
    const waiting = fetch(`${harness.url}/v3/lock/lock`, {
      method: 'POST',
      body: '{}',
      signal: controller.signal,
    });
    await until(() => harness.methods.waiting === 1);
    controller.abort();
    await expect(waiting).rejects.toThrow();
    await until(() => harness.methods.cancelled === 1);
    const late = await post('/v3/lock/lock', '{}', { 'grpc-timeout': '20m' });
    expect([late.status, harness.methods.cancelled]).toEqual([504, 2]);
  });

  it('writes long answers in slices', async () => {
    harness.methods.store.set('a', Buffer.alloc(300_000, 7));
    const response = await post('/v3/kv/range', '{"key":"YQ=="}');
    const { kvs } = (await response.json()) as { kvs: { value: string }[] };
    expect(Buffer.from(kvs[0]?.value ?? '', 'base64').equals(Buffer.alloc(300_000, 7))).toBe(true);
  });
});

describe('streams', () => {
  /** Lines of a chunked answer as they come. */
  async function* lines(response: Response): AsyncGenerator<unknown> {
    let rest = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      rest += decoder.decode(chunk, { stream: true });
      const parts = rest.split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) yield JSON.parse(part);
    }
  }

  it('keeps a watch open after the body has ended, and closes it with the connection', async () => {
    const controller = new AbortController();
    const body =
      '{"create_request":{"key":"Zm9v"}} {"create_request":{"key":"YmFy"}}{"cancel_request":{"watch_id":1}}';
    const response = await fetch(`${harness.url}/v3/watch`, {
      method: 'POST',
      body,
      signal: controller.signal,
    });
    const answers = lines(response);
    expect((await answers.next()).value).toMatchObject({ result: { created: true } });
    expect((await answers.next()).value).toMatchObject({ result: { watch_id: '1', created: true } });
    expect((await answers.next()).value).toMatchObject({ result: { watch_id: '1', canceled: true } });
    await until(() => harness.methods.halfClosed === 1);
    const [watch] = harness.methods.watches;
    if (watch === undefined) throw new Error('the watch is open');
    sendWatch(watch, { events: [{ kv: { key: Buffer.from('foo') } }] });
    expect((await answers.next()).value).toEqual({ result: { events: [{ kv: { key: 'Zm9v' } }] } });
    controller.abort();
    await until(() => harness.methods.cancelled === 1);
  });

  it('ends a keep-alive with the body', async () => {
    const response = await post('/v3/lease/keepalive', '{"ID":"7587862072907233792"}');
    expect(await response.text()).toMatch(
      /^\{"result":\{"header":.*"ID":"7587862072907233792","TTL":"60"\}\}\n$/,
    );
  });

  it('ends a stream that failed with a line that says so', async () => {
    const text = await (await post('/v3/maintenance/snapshot', '')).text();
    const [chunk, failure] = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(chunk).toEqual({ result: { remaining_bytes: '3', blob: 'YWJj' } });
    expect(failure).toEqual({
      error: {
        grpc_code: 15,
        http_code: 500,
        message: 'the snapshot broke off',
        http_status: 'Internal Server Error',
        code: 15,
        details: [],
      },
    });
  });

  it('answers a malformed first object with a status and cancels the stream', async () => {
    const response = await post('/v3/watch', '{"create_request":{"key":1}}');
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: 3 } });
    expect(harness.methods.cancelled).toBe(1);
  });

  it('tells the method to hold back when the client does not read, and to go on when it does', async () => {
    const request = httpRequest(`${harness.url}/v3/watch`, { method: 'POST' });
    const answered = new Promise<IncomingMessage>((resolve) => request.on('response', resolve));
    request.end('{"create_request":{"key":"Zm9v"}}');
    const response = await answered;
    response.pause();
    const [watch] = harness.methods.watches;
    if (watch === undefined) throw new Error('the watch is open');
    let drained = 0;
    watch.onDrain = () => drained++;
    const event = { events: [{ kv: { key: Buffer.alloc(100_000) } }] };
    for (let i = 0; i < 1_000 && sendWatch(watch, event); i++)
      await new Promise((resolve) => setImmediate(resolve));
    expect(sendWatch(watch, event)).toBe(false);
    expect(drained).toBe(0);
    response.resume();
    await until(() => drained > 0);
    request.destroy();
    await until(() => harness.methods.cancelled === 1);
  });
});

describe('health', () => {
  const get = async (path: string): Promise<[number, string]> => {
    const response = await fetch(harness.url + path);
    return [response.status, await response.text()];
  };

  it('answers /health as etcd does', async () => {
    expect(await get('/health')).toEqual([200, '{"health":"true","reason":""}']);
    harness.state.alarmKinds = ['NOSPACE'];
    expect(await get('/health')).toEqual([503, '{"health":"false","reason":"ALARM NOSPACE"}']);
    expect((await get('/health?exclude=NOSPACE'))[0]).toBe(200);
    harness.state.alarmKinds = [];
    harness.state.leaderId = 0n;
    expect(await get('/health')).toEqual([503, '{"health":"false","reason":"RAFT NO LEADER"}']);
    expect((await get('/health?serializable=true'))[0]).toBe(200);
    harness.methods.rangeError = ProtocolError.of('Timeout');
    expect(await get('/health?serializable=true')).toEqual([
      503,
      '{"health":"false","reason":"RANGE ERROR:etcdserver: request timed out"}',
    ]);
    harness.methods.rangeError = ProtocolError.of('UserEmpty');
    expect((await get('/health?serializable=true'))[0]).toBe(200);
    expect((await post('/health', '')).status).toBe(405);
  });

  it('says why a member serves nobody whose state is in doubt', async () => {
    harness.state.integrityNow = 'results-differ';
    const [status, text] = await get('/health');
    expect([status, text]).toEqual([503, expect.stringMatching(/IN DOUBT:what this member applied differs/)]);
    expect((await get('/health?serializable=true'))[0]).toBe(503);
    expect((await get('/readyz'))[1]).toMatch(
      /\[-\]data_corruption failed: what this member applied differs/,
    );
    harness.methods.rangeError = ProtocolError.of('Unhealthy');
    expect((await get('/livez'))[0]).toBe(200);
    harness.state.integrityNow = 'sound';
    expect((await get('/livez'))[0]).toBe(503);
    harness.state.integrityNow = 'log-differs';
    expect((await get('/readyz/data_corruption'))[1]).toMatch(/failed: the log of this member differs/);
  });

  it('answers /livez and /readyz with their checks', async () => {
    expect(await get('/livez')).toEqual([200, 'ok\n']);
    expect(await get('/readyz?verbose')).toEqual([
      200,
      '[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n',
    ]);
    harness.state.isLearnerNow = true;
    const [status, text] = await get('/readyz');
    expect([status, text.includes('[-]non_learner failed: the member is a learner\n')]).toEqual([503, true]);
    expect((await get('/readyz?exclude=non_learner'))[0]).toBe(200);
    expect((await get('/readyz/non_learner'))[0]).toBe(503);
    expect((await get('/livez/serializable_read'))[0]).toBe(200);
    expect((await get('/livez/nothing'))[0]).toBe(404);
    const [, metrics] = await get('/metrics');
    expect(metrics).toContain(
      'etcd_server_healthcheck{type="/readyz",name="non_learner"} 0'.replace('"/readyz"', '"readyz"'),
    );
  });

  it('serves version, variables and nothing but health and metrics on the metrics port', async () => {
    expect(await get('/version')).toEqual([
      200,
      '{"etcdserver":"3.6.0","etcdcluster":"3.6.0","storage":"unknown"}',
    ]);
    expect(JSON.parse((await get('/debug/vars'))[1])).toMatchObject({ cmdline: ['conclave', 'server'] });
    expect((await fetch(`${harness.metricsUrl}/metrics`)).status).toBe(200);
    expect((await fetch(`${harness.metricsUrl}/readyz/non_learner`)).status).toBe(200);
    expect((await fetch(`${harness.metricsUrl}/version`)).status).toBe(404);
    expect((await fetch(`${harness.metricsUrl}/v3/kv/range`, { method: 'POST', body: '{}' })).status).toBe(
      404,
    );
  });
});

describe('web pages', () => {
  it('refuses foreign host names and origins on loopback and answers preflights of known ones', async () => {
    expect((await raw('/version', { host: 'evil.example:2379' })).status).toBe(421);
    expect((await raw('/version', { origin: 'http://evil.example' })).status).toBe(403);
    const local = await raw('/version', { origin: 'http://localhost:3000' });
    expect([local.status, local.headers['access-control-allow-origin']]).toEqual([
      200,
      'http://localhost:3000',
    ]);
    const preflight = await raw(
      '/v3/kv/put',
      { origin: 'http://localhost:3000', 'access-control-request-method': 'POST' },
      'OPTIONS',
    );
    expect([preflight.status, preflight.headers['access-control-allow-methods']]).toEqual([
      200,
      'POST, GET, OPTIONS, PUT, DELETE',
    ]);
  });
});

describe('HttpFront', () => {
  const policy = new AccessPolicy({ cors: [], hostWhitelist: [], ownHosts: [], isLoopbackOnly: true });

  it('is wanted from the first connection on, which waits for the application', async () => {
    const front = new HttpFront(policy);
    let isWanted = false;
    void front.isWanted.then(() => (isWanted = true));
    await Promise.resolve();
    expect(isWanted).toBe(false);
    const [, far] = duplexPair();
    front.accept(far);
    await front.isWanted;
    expect(front.waitingCount).toBe(1);
    await front.close();
  });

  it('cuts connections whose request head does not arrive', async () => {
    const front = new HttpFront(policy, { headersTimeoutMs: 20, checkIntervalMs: 10 });
    front.install((_request, response) => void response.end());
    const [near, far] = duplexPair();
    front.accept(far);
    near.write('GET / HTTP/1.1\r\nhost: loc');
    await until(() => far.destroyed);
    await front.close();
  });

  it('closes idle connections at once when it drains, and the others after their answer', async () => {
    const front = new HttpFront(policy);
    const answers = new Map<string | undefined, () => void>();
    front.install((request, response) => void answers.set(request.url, () => response.end('late')));
    const [idle, idleFar] = duplexPair();
    const [busy, busyFar] = duplexPair();
    front.accept(idleFar);
    front.accept(busyFar);
    let text = '';
    busy.on('data', (chunk: Buffer) => (text += chunk.toString()));
    idle.resume();
    busy.write('GET /busy HTTP/1.1\r\nhost: localhost\r\n\r\n');
    idle.write('GET /idle HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await until(() => answers.size === 2);
    answers.get('/idle')?.();
    const closed = front.close(60_000);
    await until(() => idleFar.destroyed);
    expect(busyFar.destroyed).toBe(false);
    answers.get('/busy')?.();
    await closed;
    expect(text).toContain('late');
  });
});

describe('before the application is loaded', () => {
  it('lets connections wait and then answers them', async () => {
    const early = await startHttpHarness();
    const answer = fetch(`${early.url}/version`);
    await until(() => early.front.waitingCount === 1);
    await early.install();
    expect((await answer).status).toBe(200);
    await early.close();
  });
});
