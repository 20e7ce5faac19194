import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../http2/error-code.js';
import { GrpcStatus } from '../status.js';
import { GrpcPair, string, text } from '../testing/grpc-pair.js';
import {
  FrameKind,
  preface,
  RawClient,
  rawFrame,
  rawHeaderBlock,
  rawRequestBlock,
} from '../testing/raw-client.js';
import { createMemoryPipePair } from '../transport/memory-pipe.js';
import { GrpcServer } from './server.js';
import { type GrpcServerOptions } from './server-options.js';

const settings = rawFrame(FrameKind.SETTINGS, 0, 0);

/** A message in its frame; END_STREAM is set. */
function messageFrame(streamId: number, ...framed: number[]): Buffer {
  return rawFrame(FrameKind.DATA, 1, streamId, Buffer.from(framed));
}

function headersFrame(streamId: number, block: Uint8Array, flags = 4): Buffer {
  return rawFrame(FrameKind.HEADERS, flags, streamId, block);
}

async function connect(options: GrpcServerOptions = {}): Promise<{ pair: GrpcPair; client: RawClient }> {
  const pair = await GrpcPair.create(options);
  return { pair, client: attach(pair) };
}

function attach(pair: GrpcPair): RawClient {
  const [near, far] = createMemoryPipePair(pair.runtime);
  pair.server.serve(far);
  return new RawClient(near);
}

/** Sends one request and gives the fields of the answer. */
async function answer(block: Uint8Array, ...data: Uint8Array[]): Promise<string[]> {
  const { pair, client } = await connect();
  client.send(preface, settings, headersFrame(1, block), ...data);
  await pair.runtime.settle();
  expect(client.hasEnded(1)).toBe(true);
  expect(client.isClosed).toBe(false);
  expect(pair.defects).toEqual([]);
  return client.fieldsOn(1);
}

describe('the answer to a call', () => {
  it('is headers, one message and trailers', async () => {
    const fields = await answer(rawRequestBlock('/t.T/Echo'), messageFrame(1, 0, 0, 0, 0, 1, 0x61));
    expect(fields).toEqual([':status: 200', 'content-type: application/grpc', 'grpc-status: 0']);
  });

  it.each([
    ['in single octets', [[0], [0], [0], [0], [2], [0x61], [0x62]]],
    ['with the end in a frame of its own', [[0, 0, 0, 0, 2, 0x61, 0x62], []]],
  ])('does not depend on how the request is cut: %s', async (_, parts) => {
    const frames = parts.map((part, i) =>
      rawFrame(FrameKind.DATA, i === parts.length - 1 ? 1 : 0, 1, Buffer.from(part)),
    );
    expect(await answer(rawRequestBlock('/t.T/Echo'), ...frames)).toContain('grpc-status: 0');
  });

  it('takes trailers of a request for its end', async () => {
    const message = rawFrame(FrameKind.DATA, 0, 1, Buffer.from([0, 0, 0, 0, 0]));
    const trailers = headersFrame(1, rawHeaderBlock('x', 'y'), 5);
    expect(await answer(rawRequestBlock('/t.T/Echo'), message, trailers)).toContain('grpc-status: 0');
  });
});

describe('requests that are no proper calls', () => {
  const end = messageFrame(1);

  it('get 415 when the content is no gRPC and nobody takes HTTP', async () => {
    const request = [':method', 'POST', ':scheme', 'http', ':path', '/t.T/Echo', ':authority', 't'];
    expect(await answer(rawHeaderBlock(...request), end)).toContain(':status: 415');
    const json = [...request, 'content-type', 'application/grpc+json'];
    expect(await answer(rawHeaderBlock(...json), end)).toContain(':status: 415');
  });

  it('get 405 when they do not POST', async () => {
    const block = rawHeaderBlock(
      ...[':method', 'GET', ':scheme', 'http', ':path', '/t.T/Echo', ':authority', 't'],
      ...['content-type', 'application/grpc'],
    );
    expect(await answer(block, end)).toContain(':status: 405');
  });

  it.each([
    [
      'a timeout that cannot be read',
      rawRequestBlock('/t.T/Echo', 'grpc-timeout', '1x'),
      [end],
      GrpcStatus.Internal,
    ],
    [
      'an encoding that we do not know',
      rawRequestBlock('/t.T/Echo', 'grpc-encoding', 'snappy'),
      [end],
      GrpcStatus.Unimplemented,
    ],
    ['no message', rawRequestBlock('/t.T/Echo'), [end], GrpcStatus.Internal],
    [
      'half a message',
      rawRequestBlock('/t.T/Echo'),
      [messageFrame(1, 0, 0, 0, 0, 9, 1)],
      GrpcStatus.Internal,
    ],
    [
      'two messages',
      rawRequestBlock('/t.T/Echo'),
      [messageFrame(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)],
      GrpcStatus.Internal,
    ],
    ['an unknown flag', rawRequestBlock('/t.T/Echo'), [messageFrame(1, 7, 0, 0, 0, 0)], GrpcStatus.Internal],
    [
      'a compressed message without an encoding',
      rawRequestBlock('/t.T/Echo'),
      [messageFrame(1, 1, 0, 0, 0, 0)],
      GrpcStatus.Internal,
    ],
    [
      'a compressed message that is no gzip',
      rawRequestBlock('/t.T/Echo', 'grpc-encoding', 'gzip'),
      [messageFrame(1, 1, 0, 0, 0, 1, 9)],
      GrpcStatus.Internal,
    ],
    [
      'a huge length',
      rawRequestBlock('/t.T/Echo'),
      [messageFrame(1, 0, 0xff, 0xff, 0xff, 0xff)],
      GrpcStatus.ResourceExhausted,
    ],
  ])('fail with a status: %s', async (_, block, data, code) => {
    expect(await answer(block, ...data)).toContain(`grpc-status: ${code}`);
  });

  it('names the encodings that it reads when it refuses one', async () => {
    const fields = await answer(rawRequestBlock('/t.T/Echo', 'grpc-encoding', 'snappy'), end);
    expect(fields).toContain('grpc-accept-encoding: identity,gzip');
  });

  it('fail a stream that ends within a message, and tell the method', async () => {
    const { pair, client } = await connect();
    const data = messageFrame(1, 0, 0, 0, 0, 9, 1);
    client.send(preface, settings, headersFrame(1, rawRequestBlock('/t.T/Stream')), data);
    await pair.runtime.settle();
    expect(client.fieldsOn(1)).toContain(`grpc-status: ${GrpcStatus.Internal}`);
    expect(pair.streams[0]).toMatchObject({ cancelled: true, halfClosed: false });
  });
});

describe('timeouts of connections', () => {
  it('closes one that does not say anything', async () => {
    const { pair, client } = await connect();
    await pair.runtime.advance(9_999);
    expect(client.isEnded).toBe(false);
    await pair.runtime.advance(2);
    expect(client.goaway).toMatchObject({ code: ErrorCode.SETTINGS_TIMEOUT });
    expect(client.isEnded).toBe(true);
    await pair.runtime.advance(1_000);
    expect(pair.server.stats.connectionsOpen).toBe(0);
    expect(pair.server.stats.connectionsFailed.get(ErrorCode.SETTINGS_TIMEOUT)).toBe(1);
  });

  it('closes one whose headers come too slowly, and no other', async () => {
    const { pair, client } = await connect();
    const other = attach(pair);
    other.send(preface, settings);
    const block = rawRequestBlock('/t.T/Echo');
    client.send(preface, settings, headersFrame(1, block.subarray(0, 1), 0));
    for (let second = 0; second < 9; second++) {
      await pair.runtime.advance(1_000);
      client.send(rawFrame(FrameKind.CONTINUATION, 0, 1, block.subarray(1 + second, 2 + second)));
    }
    await pair.runtime.settle();
    expect(client.goaway).toBeUndefined();
    await pair.runtime.advance(1_001);
    expect(client.goaway?.code).toBe(ErrorCode.ENHANCE_YOUR_CALM);
    expect(client.isEnded).toBe(true);
    other.send(headersFrame(1, block), messageFrame(1, 0, 0, 0, 0, 0));
    await pair.runtime.settle();
    expect(other.fieldsOn(1)).toContain('grpc-status: 0');
  });

  it('closes one that trickles the octets of a HEADERS frame', async () => {
    const { pair, client } = await connect();
    const frame = headersFrame(1, rawRequestBlock('/t.T/Echo'));
    client.send(preface, settings, frame.subarray(0, 12));
    for (let i = 12; i < 24; i++) {
      await pair.runtime.advance(1_000);
      client.send(frame.subarray(i, i + 1));
    }
    await pair.runtime.settle();
    expect(client.goaway?.code).toBe(ErrorCode.ENHANCE_YOUR_CALM);
  });

  it('does not end one that is idle between calls', async () => {
    const { pair, client } = await connect();
    client.send(preface, settings);
    await pair.runtime.advance(3_600_000);
    expect(client.isEnded).toBe(false);
  });

  it('pings a silent client after the interval and closes when nothing comes back', async () => {
    const { pair, client } = await connect({ keepaliveIntervalMs: 60_000, keepaliveTimeoutMs: 20_000 });
    client.send(preface, settings);
    await pair.runtime.advance(60_001);
    const pings = (): number => client.frames.filter(({ type }) => type === FrameKind.PING).length;
    expect(pings()).toBe(1);
    client.send(rawFrame(FrameKind.PING, 1, 0, client.frames.at(-1)?.payload));
    await pair.runtime.advance(60_001);
    expect(pings()).toBe(2);
    expect(client.isClosed).toBe(false);
    await pair.runtime.advance(20_001);
    expect(client.isClosed).toBe(true);
    expect(pair.server.stats.connectionsOpen).toBe(0);
  });
});

describe('the end of a server', () => {
  it('lets running calls finish, refuses new ones, then closes', async () => {
    const pair = await GrpcPair.create();
    const running = pair.channel.unary('/t.T/Wait', text('x'));
    await pair.runtime.settle();
    let isDrained = false;
    const drained = pair.server.drain(30_000).then(() => {
      isDrained = true;
    });
    await pair.runtime.settle();
    expect(pair.channel.state).toBe('disconnected');
    await expect(pair.channel.unary('/t.T/Echo', text('late'))).rejects.toMatchObject({
      code: GrpcStatus.Unavailable,
      notSent: true,
    });
    expect(isDrained).toBe(false);
    pair.unaryCalls[0]?.respond(text('done'));
    expect(string((await pair.outcome(running)).message)).toBe('done');
    await pair.runtime.advance(1_001);
    await drained;
    expect(pair.server.stats.connectionsOpen).toBe(0);
  });

  it('cuts calls that do not finish in time', async () => {
    const pair = await GrpcPair.create();
    const running = pair.channel.unary('/t.T/Wait', text('x'));
    running.catch(() => {});
    await pair.runtime.settle();
    let cancelled = 0;
    const call = pair.unaryCalls[0];
    if (call !== undefined) call.onCancel = () => cancelled++;
    const drained = pair.server.drain(5_000);
    await pair.runtime.advance(6_001);
    await drained;
    expect(cancelled).toBe(1);
    await expect(running).rejects.toMatchObject({ code: GrpcStatus.Unavailable, notSent: false });
  });

  it('closes at once when asked to, also connections that come later', async () => {
    const { pair, client } = await connect();
    client.send(preface, settings);
    await pair.runtime.settle();
    const closed = pair.server.close();
    await pair.runtime.advance(1_001);
    await closed;
    expect(client.goaway?.code).toBe(ErrorCode.NO_ERROR);
    expect(client.isEnded).toBe(true);
    const late = attach(pair);
    late.send(preface, settings);
    await pair.runtime.settle();
    expect(late.isClosed).toBe(true);
  });
});

describe('registration', () => {
  it('takes a method while connections are open, also one that was asked for before', async () => {
    const pair = await GrpcPair.create();
    await expect(pair.outcome(pair.channel.unary('/n.N/New', text('x')))).rejects.toMatchObject({
      code: GrpcStatus.Unimplemented,
    });
    pair.server.register('/n.N/New', { kind: 'unary', handle: (_, call) => call.respond(text('new')) });
    expect(string((await pair.outcome(pair.channel.unary('/n.N/New', text('x')))).message)).toBe('new');
  });

  it('has limits of its own for a method', async () => {
    const pair = await GrpcPair.create({ maxReceiveBytes: 10 });
    const method = {
      kind: 'unary',
      handle: (_: Uint8Array, call: { respond(m: Uint8Array): void }) => call.respond(text('ok')),
    } as const;
    pair.server.register('/t.T/Large', method, { maxReceiveBytes: 1_000 });
    const result = await pair.outcome(pair.channel.unary('/t.T/Large', new Uint8Array(1_000)));
    expect(string(result.message)).toBe('ok');
  });

  it('refuses paths that are malformed or taken, and limits that make no sense', () => {
    const server = new GrpcServer();
    const method = { kind: 'unary', handle: () => {} } as const;
    expect(() => server.register('t.T/Echo', method)).toThrow(TypeError);
    expect(() => server.register('/t.T/', method)).toThrow(TypeError);
    server.register('/t.T/Echo', method);
    expect(() => server.register('/t.T/Echo', method)).toThrow(RangeError);
    expect(() => server.register('/t.T/X', method, { maxReceiveBytes: 0 })).toThrow(RangeError);
    expect(() => new GrpcServer({ handshakeTimeoutMs: -1 })).toThrow(/handshakeTimeoutMs is -1/);
  });
});
