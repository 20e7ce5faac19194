import { describe, expect, it } from 'vitest';
import { GrpcStatus } from '../status.js';
import { GrpcPair, type RecordedStream, string, text } from '../testing/grpc-pair.js';
import { type ClientStream } from './client-stream.js';
import { type GrpcError } from './error.js';

interface RecordedClient {
  readonly stream: ClientStream;
  readonly messages: string[];
  ended: boolean;
  error: GrpcError | undefined;
}

function open(pair: GrpcPair, options = {}): RecordedClient {
  const stream = pair.channel.stream('/t.T/Stream', options);
  const client: RecordedClient = { stream, messages: [], ended: false, error: undefined };
  stream.onMessage = (message) => client.messages.push(string(message));
  stream.onEnd = (error) => {
    expect(client.ended).toBe(false);
    client.ended = true;
    client.error = error;
  };
  return client;
}

async function opened(pair: GrpcPair, options = {}): Promise<[RecordedClient, RecordedStream]> {
  const client = open(pair, options);
  client.stream.send(text('first'));
  await pair.runtime.settle();
  return [client, pair.streams[pair.streams.length - 1] as RecordedStream];
}

describe('streams', () => {
  it('carries messages both ways in order, and half-closes', async () => {
    const pair = await GrpcPair.create();
    pair.onStreamMessage = (stream, message) => stream.call.send(text(`re: ${message}`));
    const [client, server] = await opened(pair);
    client.stream.send(text('second'));
    client.stream.send(new Uint8Array(0));
    client.stream.halfClose();
    await pair.runtime.settle();
    expect(server.messages).toEqual(['first', 'second', '']);
    expect(server.halfClosed).toBe(true);
    expect(client.messages).toEqual(['re: first', 're: second', 're: ']);
    server.call.send(text('last'));
    server.call.end();
    await pair.runtime.settle();
    expect(client).toMatchObject({ ended: true, error: undefined });
    expect(client.messages.at(-1)).toBe('last');
    expect(server.cancelled).toBe(false);
  });

  it('ends from the server while the client still sends', async () => {
    const pair = await GrpcPair.create();
    const [client, server] = await opened(pair);
    server.call.fail(GrpcStatus.Unavailable, 'etcdserver: no leader');
    await pair.runtime.settle();
    expect(client.error).toMatchObject({ code: GrpcStatus.Unavailable, message: 'etcdserver: no leader' });
    expect(client.stream.send(text('x'))).toBe(true);
    await pair.runtime.settle();
    expect(server.messages).toEqual(['first']);
    expect(pair.channel.openCalls).toBe(0);
  });

  it('ends with OK without any message', async () => {
    const pair = await GrpcPair.create();
    const [client, server] = await opened(pair);
    server.call.end();
    await pair.runtime.settle();
    expect(client).toMatchObject({ ended: true, error: undefined, messages: [] });
  });

  it('sends headers early when asked to', async () => {
    const pair = await GrpcPair.create();
    const [client, server] = await opened(pair);
    let headers = 0;
    client.stream.onHeaders = () => headers++;
    server.call.sendHeaders();
    server.call.sendHeaders();
    await pair.runtime.settle();
    expect(headers).toBe(1);
  });

  it('tells the server when the client cancels', async () => {
    const pair = await GrpcPair.create();
    const [client, server] = await opened(pair);
    client.stream.cancel();
    expect(client.error?.code).toBe(GrpcStatus.Canceled);
    await pair.runtime.settle();
    expect(server.cancelled).toBe(true);
    expect(server.call.isDone).toBe(true);
    expect(pair.server.stats.methods.get('/t.T/Stream')?.handledByCode[GrpcStatus.Canceled]).toBe(1);
  });

  it('ends at the deadline on both sides', async () => {
    const pair = await GrpcPair.create();
    const [client, server] = await opened(pair, { timeoutMs: 1_000 });
    await pair.runtime.advance(1_001);
    expect(client.error?.code).toBe(GrpcStatus.DeadlineExceeded);
    expect(server.cancelled).toBe(true);
  });

  it('tells the server when the connection breaks, and the client too', async () => {
    const pair = await GrpcPair.create();
    const [client, server] = await opened(pair);
    pair.runtime.acceptedPipes[0]?.destroy(new Error('broken'));
    await pair.runtime.settle();
    expect(server.cancelled).toBe(true);
    expect(client.error).toMatchObject({ code: GrpcStatus.Unavailable, notSent: false });
    expect(pair.channel.state).toBe('disconnected');
  });

  it('survives callbacks and methods that throw', async () => {
    const pair = await GrpcPair.create();
    const [client, server] = await opened(pair);
    pair.onStreamMessage = () => {
      throw new Error('a defect of the method');
    };
    client.stream.send(text('x'));
    await pair.runtime.settle();
    expect(client.error?.code).toBe(GrpcStatus.Internal);
    expect(server.cancelled).toBe(true);
    pair.onStreamMessage = undefined;
    const [second, secondServer] = await opened(pair);
    second.stream.onMessage = () => {
      throw new Error('a defect of the callback');
    };
    secondServer.call.send(text('x'));
    await pair.runtime.settle();
    expect(second.error?.code).toBe(GrpcStatus.Canceled);
    expect(secondServer.cancelled).toBe(true);
    expect(pair.defects.map(String)).toEqual([
      'Error: a defect of the method',
      'Error: a defect of the callback',
    ]);
  });

  it('refuses to send after halfClose', async () => {
    const pair = await GrpcPair.create();
    const [client] = await opened(pair);
    client.stream.halfClose();
    client.stream.halfClose();
    expect(() => client.stream.send(text('x'))).toThrow('send after halfClose');
  });
});

describe('back-pressure', () => {
  const large = new Uint8Array(100_000).fill(0x61);

  it('holds back a client whose messages are not taken, and lets it go on', async () => {
    const pair = await GrpcPair.create();
    const [client, server] = await opened(pair);
    server.call.pause();
    let sent = 0;
    let drained = 0;
    client.stream.onDrain = () => drained++;
    while (client.stream.send(large) && sent < 1_000) {
      sent++;
      await pair.runtime.settle();
    }
    await pair.runtime.settle();
    // One stream window (1 MiB) and one queue (256 KiB) of 100 kB messages, not more.
    expect(sent).toBeGreaterThan(8);
    expect(sent).toBeLessThan(20);
    expect(server.messages).toEqual(['first']);
    expect(drained).toBe(0);
    server.call.resume();
    await pair.runtime.settle();
    expect(server.messages).toHaveLength(sent + 2);
    expect(drained).toBe(1);
  });

  it('holds back a server whose client does not take messages', async () => {
    const pair = await GrpcPair.create();
    const [client, server] = await opened(pair);
    client.stream.pause();
    let drained = 0;
    server.call.onDrain = () => drained++;
    let sent = 0;
    while (server.call.send(large) && sent < 1_000) {
      sent++;
      await pair.runtime.settle();
    }
    server.call.end();
    await pair.runtime.settle();
    expect(sent).toBeLessThan(20);
    expect(client.messages).toEqual([]);
    expect(client.ended).toBe(false);
    client.stream.resume();
    await pair.runtime.settle();
    expect(client.messages).toHaveLength(sent + 1);
    expect(client.ended).toBe(true);
    expect(drained).toBe(0);
  });

  it('tells a server that held back when there is room again', async () => {
    const pair = await GrpcPair.create();
    const [client, server] = await opened(pair);
    client.stream.pause();
    let drained = 0;
    server.call.onDrain = () => drained++;
    while (server.call.send(large)) await pair.runtime.settle();
    client.stream.resume();
    await pair.runtime.settle();
    expect(drained).toBe(1);
  });

  it('does not let one slow stream stop another', async () => {
    const pair = await GrpcPair.create();
    const [slow, slowServer] = await opened(pair);
    slow.stream.pause();
    while (slowServer.call.send(large)) await pair.runtime.settle();
    const result = await pair.outcome(pair.channel.unary('/t.T/Echo', text('quick')));
    expect(string(result.message)).toBe('quick');
  });
});
