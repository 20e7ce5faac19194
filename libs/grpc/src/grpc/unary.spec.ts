import { describe, expect, it } from 'vitest';
import { GrpcStatus } from '../status.js';
import { GrpcPair, string, text } from '../testing/grpc-pair.js';
import { type GrpcError } from './error.js';

async function failure(pair: GrpcPair, promise: Promise<unknown>): Promise<GrpcError> {
  return pair.outcome(
    promise.then(
      () => Promise.reject(new Error('expected a failure')),
      (error: GrpcError) => error,
    ),
  );
}

describe('unary calls', () => {
  it('connects with the first call and brings the answer back', async () => {
    const pair = await GrpcPair.create();
    expect(pair.channel.state).toBe('idle');
    const result = await pair.outcome(pair.channel.unary('/t.T/Echo', text('hello')));
    expect(string(result.message)).toBe('hello');
    expect(result.headers.get('content-type')).toBe('application/grpc');
    expect(result.trailers.get('grpc-status')).toBe('0');
    expect(pair.channel.state).toBe('ready');
  });

  it('carries empty messages and many calls at once', async () => {
    const pair = await GrpcPair.create();
    const empty = await pair.outcome(pair.channel.unary('/t.T/Echo', new Uint8Array(0)));
    expect(empty.message).toHaveLength(0);
    const answers = await pair.outcome(
      Promise.all(Array.from({ length: 500 }, (_, i) => pair.channel.unary('/t.T/Echo', text(`m${i}`)))),
    );
    expect(answers.map((answer) => string(answer.message))).toEqual(answers.map((_, i) => `m${i}`));
  });

  it('carries a message of 4 MiB through small windows', async () => {
    const windows = { initialWindowSize: 1_000, connectionWindowSize: 65_535 };
    const pair = await GrpcPair.create({ http2: windows }, { http2: windows });
    const message = Buffer.alloc(4 * 1024 * 1024, 'conclave ');
    const result = await pair.outcome(pair.channel.unary('/t.T/Echo', message));
    expect(Buffer.from(result.message).equals(message)).toBe(true);
  });

  it('carries status, message and trailers of a failure', async () => {
    const pair = await GrpcPair.create();
    const promise = pair.channel.unary('/t.T/Wait', text('x'));
    await pair.runtime.settle();
    pair.unaryCalls[0]?.fail(GrpcStatus.NotFound, '100% gone: ключ\n', {
      'why-bin': new Uint8Array([1, 2]),
      why: 'no',
    });
    const error = await failure(pair, promise);
    expect(error.code).toBe(GrpcStatus.NotFound);
    expect(error.message).toBe('100% gone: ключ\n');
    expect(error.metadata?.get('why')).toBe('no');
    expect([...(error.metadata?.getBinary('why-bin') ?? [])]).toEqual([1, 2]);
    expect(error.notSent).toBe(false);
  });

  it('gives the method the metadata and the deadline', async () => {
    const pair = await GrpcPair.create();
    const metadata = { token: 'secret', 'bin-bin': [new Uint8Array([9]), new Uint8Array([8])] };
    const promise = pair.channel.unary('/t.T/Wait', text('x'), { metadata, timeoutMs: 250 });
    await pair.runtime.settle();
    const call = pair.unaryCalls[0];
    expect(call?.path).toBe('/t.T/Wait');
    expect(call?.metadata.get('token')).toBe('secret');
    expect(call?.metadata.getAllBinary('bin-bin').map((bytes) => bytes[0])).toEqual([9, 8]);
    expect(call?.deadline).toBe(pair.runtime.now() + 250);
    expect(call?.remote.address).toBe('client');
    expect(call?.tls).toBeUndefined();
    call?.respond(text('ok'));
    await pair.outcome(promise);
  });

  it('ends with DeadlineExceeded on both sides', async () => {
    const pair = await GrpcPair.create();
    const promise = pair.channel.unary('/t.T/Wait', text('x'), { timeoutMs: 100 });
    let cancelled = 0;
    await pair.runtime.settle();
    const call = pair.unaryCalls[0];
    if (call !== undefined) call.onCancel = () => cancelled++;
    await pair.runtime.advance(99);
    expect(cancelled).toBe(0);
    await pair.runtime.advance(2);
    expect((await failure(pair, promise)).code).toBe(GrpcStatus.DeadlineExceeded);
    expect(cancelled).toBe(1);
    expect(call?.isDone).toBe(true);
    call?.respond(text('too late'));
    await pair.runtime.settle();
    expect(pair.defects).toEqual([]);
  });

  it('ends at the deadline also while the server is silent and never had the call', async () => {
    const pair = await GrpcPair.create({}, { target: { port: 9 } });
    const ignore = (): void => {};
    const silent = { admit: () => true, accepted: ignore, dropped: ignore, refused: ignore, failed: ignore };
    await pair.runtime.listen({ port: 9, handshakeTimeoutMs: 1, connectionsMax: 1 }, silent);
    const promise = pair.channel.unary('/t.T/Wait', text('x'), { timeoutMs: 100 });
    promise.catch(ignore);
    await pair.runtime.advance(101);
    expect(pair.channel.state).toBe('connecting');
    expect(await failure(pair, promise)).toMatchObject({ code: GrpcStatus.DeadlineExceeded, notSent: true });
  });

  it('cancels through the signal', async () => {
    const pair = await GrpcPair.create();
    const controller = new AbortController();
    const promise = pair.channel.unary('/t.T/Wait', text('x'), { signal: controller.signal });
    await pair.runtime.settle();
    let cancelled = 0;
    const call = pair.unaryCalls[0];
    if (call !== undefined) call.onCancel = () => cancelled++;
    controller.abort();
    expect((await failure(pair, promise)).code).toBe(GrpcStatus.Canceled);
    expect(cancelled).toBe(1);
    const aborted = pair.channel.unary('/t.T/Echo', text('x'), { signal: AbortSignal.abort() });
    expect(await failure(pair, aborted)).toMatchObject({ code: GrpcStatus.Canceled, notSent: true });
  });

  it.each([
    ['/t.T/Nothing', 'unknown method Nothing for service t.T'],
    ['/u.U/Nothing', 'unknown service u.U'],
  ])('answers Unimplemented for %s', async (path, message) => {
    const pair = await GrpcPair.create();
    const error = await failure(pair, pair.channel.unary(path, text('x')));
    expect(error).toMatchObject({ code: GrpcStatus.Unimplemented, message });
    expect(pair.server.stats.unknownMethods.handledByCode[GrpcStatus.Unimplemented]).toBe(1);
  });

  it('refuses messages above the limits in the words of grpc-go', async () => {
    const pair = await GrpcPair.create(
      { maxReceiveBytes: 1_000 },
      { maxReceiveBytes: 500, maxSendBytes: 2_000 },
    );
    const tooLarge = await failure(pair, pair.channel.unary('/t.T/Echo', new Uint8Array(1_001)));
    expect(tooLarge).toMatchObject({
      code: GrpcStatus.ResourceExhausted,
      message: 'grpc: received message larger than max (1001 vs. 1000)',
    });
    const answer = await failure(pair, pair.channel.unary('/t.T/Echo', new Uint8Array(501)));
    expect(answer.message).toBe('grpc: received message larger than max (501 vs. 500)');
    const sent = await failure(pair, pair.channel.unary('/t.T/Echo', new Uint8Array(2_001)));
    expect(sent.message).toBe('grpc: trying to send message larger than max (2001 vs. 2000)');
    expect(string((await pair.outcome(pair.channel.unary('/t.T/Echo', text('alive')))).message)).toBe(
      'alive',
    );
  });

  it('answers Internal when a method throws, and reports the defect', async () => {
    const pair = await GrpcPair.create();
    const error = await failure(pair, pair.channel.unary('/t.T/Throw', text('x')));
    expect(error).toMatchObject({ code: GrpcStatus.Internal, message: 'internal error' });
    expect(pair.defects).toHaveLength(1);
  });

  it('compresses both ways when the client does', async () => {
    const pair = await GrpcPair.create({}, { gzip: true });
    const message = Buffer.alloc(100_000, 'conclave');
    const result = await pair.outcome(pair.channel.unary('/t.T/Echo', message));
    expect(Buffer.from(result.message).equals(message)).toBe(true);
    expect(result.headers.get('grpc-encoding')).toBe('gzip');
    const stats = pair.server.stats.methods.get('/t.T/Echo');
    expect(stats?.bytesReceived).toBeLessThan(2_000);
    expect(stats?.bytesSent).toBeLessThan(2_000);
  });

  it('stops a compressed bomb', async () => {
    const pair = await GrpcPair.create({ maxReceiveBytes: 10_000 }, { gzip: true });
    const error = await failure(pair, pair.channel.unary('/t.T/Echo', new Uint8Array(1_000_000)));
    expect(error).toMatchObject({
      code: GrpcStatus.ResourceExhausted,
      message: 'grpc: received message after decompression larger than max 10000',
    });
  });

  it('counts by method and code, and times calls when somebody listens', async () => {
    const handled: string[] = [];
    const pair = await GrpcPair.create({
      onHandled: (method, code, durationMs) => handled.push(`${method.path} ${code} ${durationMs}`),
    });
    await pair.outcome(pair.channel.unary('/t.T/Echo', text('four')));
    const promise = pair.channel.unary('/t.T/Wait', text('x'));
    await pair.runtime.advance(40);
    pair.unaryCalls[0]?.fail(GrpcStatus.Aborted, 'no');
    await failure(pair, promise);
    expect(handled).toEqual(['/t.T/Echo 0 0', '/t.T/Wait 10 40']);
    const { methods, connectionsOpen, bytesReceived, bytesSent } = pair.server.stats;
    const {
      started,
      messagesReceived,
      messagesSent,
      bytesSent: echoed,
      handledByCode,
    } = methods.get('/t.T/Echo') ?? {};
    expect([started, messagesReceived, messagesSent, echoed, handledByCode?.[0]]).toEqual([1, 1, 1, 4, 1]);
    expect(methods.get('/t.T/Wait')?.handledByCode[GrpcStatus.Aborted]).toBe(1);
    expect(connectionsOpen).toBe(1);
    expect(bytesReceived).toBeGreaterThan(100);
    expect(bytesSent).toBeGreaterThan(50);
  });
});
