import { describe, expect, it } from 'vitest';
import { GrpcPair, string, text } from '../testing/grpc-pair.js';
import { FrameKind, preface, RawClient, rawFrame, rawHeaderBlock } from '../testing/raw-client.js';
import { createMemoryPipePair } from '../transport/memory-pipe.js';
import { BodyTooLargeError, ExchangeAbortedError, type HttpExchange } from './http-exchange.js';

const settings = rawFrame(FrameKind.SETTINGS, 0, 0);

interface Bridge {
  readonly pair: GrpcPair;
  readonly client: RawClient;
  readonly exchanges: HttpExchange[];
  request(streamId: number, endStream: boolean, ...fields: string[]): void;
  data(streamId: number, body: Uint8Array, endStream: boolean): void;
  /** The body that arrived on a stream. */
  body(streamId: number): string;
}

async function bridge(onRequest?: (exchange: HttpExchange) => void): Promise<Bridge> {
  const exchanges: HttpExchange[] = [];
  const pair = await GrpcPair.create({
    onHttp2Request: (exchange) => {
      exchanges.push(exchange);
      onRequest?.(exchange);
    },
  });
  const [near, far] = createMemoryPipePair(pair.runtime);
  pair.server.serve(far);
  const client = new RawClient(near);
  client.send(preface, settings);
  return {
    pair,
    client,
    exchanges,
    request(streamId, endStream, ...fields) {
      const start = [':method', 'POST', ':scheme', 'http', ':path', '/v3/kv/put?x=1', ':authority', 'host:1'];
      const block = rawHeaderBlock(...start, ...fields);
      client.send(rawFrame(FrameKind.HEADERS, endStream ? 5 : 4, streamId, block));
    },
    data(streamId, body, endStream) {
      client.send(rawFrame(FrameKind.DATA, endStream ? 1 : 0, streamId, body));
    },
    body(streamId) {
      const frames = client.frames.filter(
        (frame) => frame.type === FrameKind.DATA && frame.streamId === streamId,
      );
      return Buffer.concat(frames.map(({ payload }) => payload)).toString();
    },
  };
}

describe('HTTP exchange', () => {
  it('shows the request and answers with a whole body', async () => {
    const { pair, client, exchanges, request, data, body } = await bridge();
    request(1, false, 'content-type', 'application/json', 'x-a', '1', 'x-a', '2');
    data(1, text('{"key":'), false);
    data(1, text('"a"}'), true);
    await pair.runtime.settle();
    const exchange = exchanges[0] as HttpExchange;
    expect([exchange.method, exchange.path, exchange.authority, exchange.scheme]).toEqual([
      'POST',
      '/v3/kv/put?x=1',
      'host:1',
      'http',
    ]);
    expect(exchange.headers.getAll('x-a')).toEqual(['1', '2']);
    expect(exchange.headers.fields).toEqual(['content-type', 'application/json', 'x-a', '1', 'x-a', '2']);
    expect(string(await pair.outcome(exchange.readBody(100)))).toBe('{"key":"a"}');
    const headers = { 'Content-Type': 'application/json', Connection: 'close', 'x-n': 7, 'x-no': undefined };
    await pair.outcome(exchange.respond(200, headers, text('{}')));
    await pair.runtime.settle();
    expect(client.fieldsOn(1)).toEqual([':status: 200', 'content-type: application/json', 'x-n: 7']);
    expect(body(1)).toBe('{}');
    expect(client.hasEnded(1)).toBe(true);
  });

  it('answers without a body', async () => {
    const { pair, client, exchanges, request } = await bridge();
    request(1, true);
    await pair.runtime.settle();
    await pair.outcome((exchanges[0] as HttpExchange).respond(204, {}));
    await pair.runtime.settle();
    expect(client.fieldsOn(1)).toEqual([':status: 204']);
    expect(client.hasEnded(1)).toBe(true);
  });

  it('refuses a body above the limit', async () => {
    const { pair, exchanges, request, data } = await bridge();
    request(1, false);
    data(1, new Uint8Array(101), true);
    await pair.runtime.settle();
    await expect(pair.outcome((exchanges[0] as HttpExchange).readBody(100))).rejects.toThrow(
      BodyTooLargeError,
    );
  });

  it('keeps the body in the window until somebody reads it', async () => {
    const { pair, client, exchanges, request, data } = await bridge();
    request(1, false);
    for (let i = 0; i < 60; i++) data(1, new Uint8Array(16_000), false);
    await pair.runtime.settle();
    const returned = (): number =>
      client.frames.filter(({ type, streamId }) => type === FrameKind.WINDOW_UPDATE && streamId === 1).length;
    let octets = 0;
    let isComplete = false;
    const exchange = exchanges[0] as HttpExchange;
    exchange.onEnd = () => {
      isComplete = true;
    };
    exchange.pause();
    exchange.onData = (chunk) => {
      octets += chunk.length;
    };
    await pair.runtime.settle();
    expect([octets, isComplete, returned()]).toEqual([0, false, 0]);
    exchange.resume();
    await pair.runtime.settle();
    expect([octets, isComplete]).toEqual([960_000, false]);
    expect(returned()).toBeGreaterThan(0);
    data(1, new Uint8Array(0), true);
    await pair.runtime.settle();
    expect(isComplete).toBe(true);
  });

  it('streams an answer as fast as the client reads it', async () => {
    const { pair, client, exchanges, request } = await bridge();
    request(1, true);
    await pair.runtime.settle();
    let produced = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        produced++;
        yield await Promise.resolve(new Uint8Array(50_000));
      }
    }
    const responded = (exchanges[0] as HttpExchange).respond(200, {}, endless());
    responded.catch(() => {});
    for (let i = 0; i < 50; i++) await pair.runtime.settle();
    // One connection window of the client (65,535) and one queue (256 KiB).
    expect(produced).toBeLessThan(10);
    client.send(rawFrame(FrameKind.RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8])));
    await pair.runtime.settle();
    await expect(pair.outcome(responded)).rejects.toThrow(ExchangeAbortedError);
  });

  it('cuts the answer off when its source fails', async () => {
    const { pair, client, exchanges, request } = await bridge();
    request(1, true);
    await pair.runtime.settle();
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(text('part'));
      throw new Error('the source failed');
    }
    await expect(pair.outcome((exchanges[0] as HttpExchange).respond(200, {}, failing()))).rejects.toThrow(
      'the source failed',
    );
    await pair.runtime.settle();
    expect(client.resets.has(1)).toBe(true);
    expect(client.hasEnded(1)).toBe(false);
  });

  it('tells when the client goes away', async () => {
    const { pair, client, exchanges, request } = await bridge();
    request(1, false);
    await pair.runtime.settle();
    const exchange = exchanges[0] as HttpExchange;
    const body = exchange.readBody(10);
    client.pipe.destroy();
    await pair.runtime.settle();
    await expect(pair.outcome(body)).rejects.toThrow(ExchangeAbortedError);
    expect(exchange.isAborted).toBe(true);
  });

  it('answers 500 when its handler throws, and calls go on beside it', async () => {
    const { pair, client, request } = await bridge(() => {
      throw new Error('a defect');
    });
    request(1, true);
    await pair.runtime.settle();
    expect(client.fieldsOn(1)).toEqual([':status: 500']);
    expect(pair.defects).toHaveLength(1);
    expect(string((await pair.outcome(pair.channel.unary('/t.T/Echo', text('x')))).message)).toBe('x');
  });
});
