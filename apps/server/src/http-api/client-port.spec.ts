import { connect } from 'node:http2';
import { GrpcServer, nodeRuntime, openPort } from '@conclave/grpc';
import { describe, expect, it } from 'vitest';
import { bridgeHttp2 } from './http2-bridge.js';
import { PipeDuplex } from './pipe-duplex.js';
import { type HttpHarness, startHttpHarness } from './testing/http-harness.js';
import { sendWatch } from './testing/memory-methods.js';

/** The HTTP API on a port that speaks HTTP/1.1 and HTTP/2, as the client port of a member. */
async function withClientPort(run: (url: string, harness: HttpHarness) => Promise<void>): Promise<void> {
  const harness = await startHttpHarness();
  await harness.install();
  const grpc = new GrpcServer({ onHttp2Request: (exchange) => bridgeHttp2(exchange, harness.front) });
  const port = await openPort(
    nodeRuntime,
    {},
    {
      http2: (pipe, head) => grpc.serve(pipe, head),
      http1: (pipe, head) => harness.front.accept(new PipeDuplex(pipe, head)),
    },
  );
  try {
    await run(`http://127.0.0.1:${port.local.port}`, harness);
  } finally {
    await grpc.close();
    await harness.close();
    await port.close();
  }
}

describe('the client port', () => {
  it('serves HTTP/1.1 with bodies and answers larger than any buffer', () =>
    withClientPort(async (url, { methods }) => {
      const value = Buffer.alloc(1_000_000, 7);
      methods.store.set('a', value);
      const response = await fetch(`${url}/v3/kv/range`, { method: 'POST', body: '{"key":"YQ=="}' });
      const { kvs } = (await response.json()) as { kvs: { value: string }[] };
      expect(Buffer.from(kvs[0]?.value ?? '', 'base64').equals(value)).toBe(true);
    }));

  it('serves HTTP/2 that is no gRPC, whole and streamed, and notices when the client goes away', () =>
    withClientPort(async (url, { methods }) => {
      const session = connect(url);
      const put = session.request({ ':method': 'POST', ':path': '/v3/kv/put' });
      put.end('{"key":"Zm9v","value":"YmFy"}');
      let text = '';
      for await (const chunk of put.setEncoding('utf8')) text += String(chunk);
      expect(JSON.parse(text)).toHaveProperty('header');
      expect(methods.store.get('foo')?.toString()).toBe('bar');

      const watch = session.request({ ':method': 'POST', ':path': '/v3/watch' });
      watch.write('{"create_request":{"key":"Zm9v"}}');
      const lines = watch.setEncoding('utf8')[Symbol.asyncIterator]();
      expect((await lines.next()).value).toContain('"created":true');
      const [stream] = methods.watches;
      if (stream === undefined) throw new Error('the watch is open');
      sendWatch(stream, { events: [{ kv: { key: Buffer.from('foo') } }] });
      expect((await lines.next()).value).toBe('{"result":{"events":[{"kv":{"key":"Zm9v"}}]}}\n');
      watch.close(8);
      while (methods.cancelled === 0) await new Promise((resolve) => setImmediate(resolve));
      session.close();
    }));
});
