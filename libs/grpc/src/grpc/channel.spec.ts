import { describe, expect, it } from 'vitest';
import { GrpcStatus } from '../status.js';
import { GrpcPair, string, text } from '../testing/grpc-pair.js';
import { FrameKind, RawClient, rawFrame } from '../testing/raw-client.js';
import { type Pipe } from '../transport/pipe.js';
import { GrpcChannel, type ChannelState } from './channel.js';
import { type GrpcChannelOptions } from './channel-options.js';
import { VirtualRuntime } from '../testing/virtual-runtime.js';

/** A channel whose server is played by the test, frame by frame. */
async function played(options: Partial<GrpcChannelOptions> = {}): Promise<{
  runtime: VirtualRuntime;
  channel: GrpcChannel;
  servers: RawClient[];
}> {
  const runtime = new VirtualRuntime();
  const servers: RawClient[] = [];
  const ignore = (): void => {};
  await runtime.listen(
    { port: 1, handshakeTimeoutMs: 1, connectionsMax: 1 },
    {
      admit: () => true,
      accepted: (pipe: Pipe) => servers.push(new RawClient(pipe, true)),
      dropped: ignore,
      refused: ignore,
      failed: ignore,
    },
  );
  const channel = new GrpcChannel({ target: { host: 'h', port: 1 }, ...options }, runtime);
  return { runtime, channel, servers };
}

function setting(id: number, value: number): Buffer {
  const payload = Buffer.alloc(6);
  payload.writeUInt16BE(id, 0);
  payload.writeUInt32BE(value, 2);
  return rawFrame(FrameKind.SETTINGS, 0, 0, payload);
}

function goawayFrame(lastStreamId: number, code = 0): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(lastStreamId, 0);
  payload.writeUInt32BE(code, 4);
  return rawFrame(FrameKind.GOAWAY, 0, 0, payload);
}

const settings = rawFrame(FrameKind.SETTINGS, 0, 0);
const resetPayload = (code: number): Buffer => Buffer.from([0, 0, 0, code]);

describe('connecting', () => {
  it('tells its states', async () => {
    const pair = await GrpcPair.create();
    const states: ChannelState[] = [];
    pair.channel.onState = (state) => states.push(state);
    await pair.outcome(pair.channel.connect());
    await pair.outcome(pair.channel.connect());
    const closed = pair.channel.close();
    await pair.runtime.advance(1_001);
    await closed;
    expect(states).toEqual(['connecting', 'ready', 'closed']);
    await expect(pair.channel.connect()).rejects.toMatchObject({ code: GrpcStatus.Canceled });
    await expect(pair.channel.unary('/t.T/Echo', text('x'))).rejects.toMatchObject({ notSent: true });
    expect(pair.runtime.pendingTimers).toBe(0);
  });

  it('fails calls and connect when nobody listens, and tries again only when asked to', async () => {
    const runtime = new VirtualRuntime();
    const channel = new GrpcChannel({ target: { host: 'nowhere', port: 7 } }, runtime);
    const call = channel.unary('/t.T/Echo', text('x'));
    call.catch(() => {});
    await runtime.settle();
    await expect(call).rejects.toMatchObject({ code: GrpcStatus.Unavailable, notSent: true });
    await expect(call).rejects.toThrow(/ECONNREFUSED nowhere:7/);
    expect(channel.state).toBe('disconnected');
    await expect(channel.unary('/t.T/Echo', text('x'))).rejects.toMatchObject({ notSent: true });
    const again = channel.connect();
    again.catch(() => {});
    await runtime.settle();
    await expect(again).rejects.toThrow(/ECONNREFUSED/);
  });

  it('gives up when the server does not answer the handshake in time', async () => {
    const { runtime, channel, servers } = await played({ connectTimeoutMs: 2_000 });
    const connected = channel.connect();
    connected.catch(() => {});
    await runtime.advance(1_999);
    expect(channel.state).toBe('connecting');
    expect(servers).toHaveLength(1);
    await runtime.advance(2);
    await expect(connected).rejects.toMatchObject({ code: GrpcStatus.Unavailable, notSent: true });
  });

  it('fails calls when it cannot even begin to connect', async () => {
    const runtime = new VirtualRuntime();
    runtime.connect = () => {
      throw new Error('bad certificate');
    };
    const channel = new GrpcChannel({ target: { port: 1 } }, runtime);
    await expect(channel.unary('/t.T/Echo', text('x'))).rejects.toMatchObject({
      code: GrpcStatus.Unavailable,
      notSent: true,
      message: 'cannot connect: bad certificate',
    });
    expect(channel.state).toBe('disconnected');
    const stream = channel.stream('/t.T/Stream');
    const ended = new Promise((resolve) => (stream.onEnd = resolve));
    await runtime.settle();
    expect(await ended).toMatchObject({ notSent: true });
  });

  it('refuses paths and metadata that are malformed', async () => {
    const { channel } = await played();
    await expect(channel.unary('no path', text('x'))).rejects.toThrow(TypeError);
    await expect(channel.unary('/t.T/Echo', text('x'), { metadata: { 'A b': '' } })).rejects.toThrow(
      TypeError,
    );
    expect(() => channel.stream('/t.T/Stream\n')).toThrow(TypeError);
    expect(channel.state).toBe('idle');
  });

  it('counts what it sent and received, also on connections that are gone', async () => {
    const pair = await GrpcPair.create();
    await pair.outcome(pair.channel.unary('/t.T/Echo', text('x')));
    pair.runtime.acceptedPipes[0]?.destroy();
    await pair.runtime.settle();
    const first = pair.channel.stats;
    expect(first).toEqual({
      bytesReceived: pair.server.stats.bytesSent,
      bytesSent: pair.server.stats.bytesReceived,
    });
    await pair.outcome(pair.channel.connect());
    expect(pair.channel.stats.bytesSent).toBeGreaterThan(first.bytesSent);
  });

  it('connects anew after a lost connection when asked to', async () => {
    const pair = await GrpcPair.create();
    await pair.outcome(pair.channel.connect());
    pair.runtime.acceptedPipes[0]?.destroy();
    await pair.runtime.settle();
    expect(pair.channel.state).toBe('disconnected');
    await pair.outcome(pair.channel.connect());
    expect(string((await pair.outcome(pair.channel.unary('/t.T/Echo', text('again')))).message)).toBe(
      'again',
    );
  });
});

describe('what certainly was not processed', () => {
  it('is told for streams above the last of a GOAWAY, and for refused ones', async () => {
    const { runtime, channel, servers } = await played();
    const calls = Array.from({ length: 3 }, () => channel.unary('/t.T/Echo', text('x')));
    for (const call of calls) call.catch(() => {});
    await runtime.settle();
    const server = servers[0] as RawClient;
    server.send(settings);
    await runtime.settle();
    server.send(rawFrame(FrameKind.RST_STREAM, 0, 3, resetPayload(7)), goawayFrame(1));
    await runtime.settle();
    await expect(calls[1]).rejects.toMatchObject({ code: GrpcStatus.Unavailable, notSent: true });
    await expect(calls[2]).rejects.toMatchObject({ code: GrpcStatus.Unavailable, notSent: true });
    expect(channel.state).toBe('disconnected');
    server.pipe.destroy();
    await runtime.settle();
    await expect(calls[0]).rejects.toMatchObject({ code: GrpcStatus.Unavailable, notSent: false });
  });

  it.each([
    [2, GrpcStatus.Internal],
    [8, GrpcStatus.Canceled],
    [11, GrpcStatus.ResourceExhausted],
    [12, GrpcStatus.PermissionDenied],
  ])('is not claimed for a reset with code %i', async (reset, code) => {
    const { runtime, channel, servers } = await played();
    const call = channel.unary('/t.T/Echo', text('x'));
    call.catch(() => {});
    await runtime.settle();
    servers[0]?.send(settings);
    await runtime.settle();
    servers[0]?.send(rawFrame(FrameKind.RST_STREAM, 0, 1, resetPayload(reset)));
    await runtime.settle();
    await expect(call).rejects.toMatchObject({ code, notSent: false });
    expect(channel.state).toBe('ready');
  });
});

describe('the number of streams', () => {
  it('stays under what the server allows; calls wait their turn', async () => {
    const pair = await GrpcPair.create({ maxConcurrentStreams: 2 });
    await pair.outcome(pair.channel.connect());
    const calls = Array.from({ length: 5 }, (_, i) => pair.channel.unary('/t.T/Wait', text(`${i}`)));
    await pair.runtime.settle();
    expect(pair.unaryRequests).toEqual(['0', '1']);
    expect(pair.channel.openCalls).toBe(5);
    for (let i = 0; i < 5; i++) {
      pair.unaryCalls[i]?.respond(text('ok'));
      await pair.runtime.settle();
    }
    expect(pair.unaryRequests).toEqual(['0', '1', '2', '3', '4']);
    await pair.outcome(Promise.all(calls));
  });

  it('goes on when a running call is given up, and skips waiting calls that were', async () => {
    const pair = await GrpcPair.create({ maxConcurrentStreams: 1 });
    await pair.outcome(pair.channel.connect());
    const controllers = Array.from({ length: 3 }, () => new AbortController());
    const calls = controllers.map(({ signal }, i) =>
      pair.channel.unary('/t.T/Wait', text(`${i}`), { signal }),
    );
    for (const call of calls) call.catch(() => {});
    await pair.runtime.settle();
    controllers[1]?.abort();
    controllers[0]?.abort();
    await pair.runtime.settle();
    expect(pair.unaryRequests).toEqual(['0', '2']);
    await expect(calls[1]).rejects.toMatchObject({ code: GrpcStatus.Canceled, notSent: true });
    await expect(calls[0]).rejects.toMatchObject({ code: GrpcStatus.Canceled, notSent: false });
  });

  it('may be raised by the server later', async () => {
    const { runtime, channel, servers } = await played();
    const calls = Array.from({ length: 3 }, () => channel.unary('/t.T/Echo', text('x')));
    for (const call of calls) call.catch(() => {});
    await runtime.settle();
    const server = servers[0] as RawClient;
    const opened = (): number => server.frames.filter(({ type }) => type === FrameKind.HEADERS).length;
    server.send(setting(3, 1));
    await runtime.settle();
    expect(opened()).toBe(1);
    server.send(setting(3, 100));
    await runtime.settle();
    expect(opened()).toBe(3);
  });
});

describe('keepalive', () => {
  it('finds a silent server while a call is open', async () => {
    const { runtime, channel, servers } = await played();
    const call = channel.unary('/t.T/Echo', text('x'));
    call.catch(() => {});
    await runtime.settle();
    servers[0]?.send(settings);
    await runtime.advance(10_000);
    expect(servers[0]?.frames.some(({ type }) => type === FrameKind.PING)).toBe(true);
    await runtime.advance(2_999);
    expect(channel.state).toBe('ready');
    await runtime.advance(2);
    expect(channel.state).toBe('disconnected');
    await expect(call).rejects.toThrow(/keepalive/);
  });

  it('does not ping without calls, and pings at once when a call comes after a long silence', async () => {
    const { runtime, channel, servers } = await played();
    const connected = channel.connect();
    await runtime.settle();
    servers[0]?.send(settings);
    await runtime.settle();
    await connected;
    const pings = (): number => servers[0]?.frames.filter(({ type }) => type === FrameKind.PING).length ?? 0;
    await runtime.advance(600_000);
    expect(pings()).toBe(0);
    channel.unary('/t.T/Echo', text('x')).catch(() => {});
    await runtime.settle();
    expect(pings()).toBe(1);
    await runtime.advance(3_001);
    expect(channel.state).toBe('disconnected');
  });

  it('keeps a connection that answers', async () => {
    const pair = await GrpcPair.create();
    const call = pair.channel.unary('/t.T/Wait', text('x'));
    await pair.runtime.advance(300_000);
    expect(pair.channel.state).toBe('ready');
    pair.unaryCalls[0]?.respond(text('ok'));
    await pair.outcome(call);
  });
});

describe('answers that are no gRPC', () => {
  async function refusal(...fields: string[]): Promise<unknown> {
    const { runtime, channel, servers } = await played();
    const call = channel.unary('/t.T/Echo', text('x'));
    call.catch(() => {});
    await runtime.settle();
    servers[0]?.send(settings);
    await runtime.settle();
    servers[0]?.sendHeaders(1, true, ...fields);
    await runtime.settle();
    return call.then(
      () => undefined,
      (error: unknown) => error,
    );
  }
  const grpc = ['content-type', 'application/grpc'];

  it.each([
    [[':status', '503', 'content-type', 'text/plain'], GrpcStatus.Unavailable],
    [[':status', '404'], GrpcStatus.Unimplemented],
    [[':status', '401'], GrpcStatus.Unauthenticated],
    [[':status', '418'], GrpcStatus.Unknown],
    [[':status', '200', 'content-type', 'text/html'], GrpcStatus.Unknown],
    [[':status', '200', ...grpc], GrpcStatus.Unknown],
    [[':status', '200', ...grpc, 'grpc-status', 'x'], GrpcStatus.Unknown],
    [[':status', '200', ...grpc, 'grpc-status', '99'], GrpcStatus.Unknown],
    [[':status', '200', ...grpc, 'grpc-status', '0'], GrpcStatus.Internal],
    [[':status', '415', ...grpc, 'grpc-status', '13'], GrpcStatus.Internal],
  ])('%j', async (fields, code) => {
    expect(await refusal(...fields)).toMatchObject({ code, notSent: false });
  });
});
