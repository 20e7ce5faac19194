import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GrpcError, GrpcChannel, type GrpcChannelOptions, GrpcStatus } from '@conclave/grpc';

const same = (bytes: Buffer): Buffer => bytes;

let server: Server;
let port: number;
const channels: GrpcChannel[] = [];
let onCancelled: (() => void) | undefined;
let onOpened: (() => void) | undefined;

function channel(options: Partial<GrpcChannelOptions> = {}): GrpcChannel {
  const made = new GrpcChannel({ target: { host: '127.0.0.1', port }, ...options });
  channels.push(made);
  return made;
}

function method(name: string, requestStream: boolean, responseStream: boolean): ServiceDefinition[string] {
  return {
    path: `/interop.T/${name}`,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

const echo: handleUnaryCall<Buffer, Buffer> = (call, callback) => callback(null, call.request);

const inspect: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
  const trailer = new Metadata();
  trailer.add('seen', String(call.metadata.get('x-text').join('|')));
  for (const value of call.metadata.get('x-bin')) trailer.add('seen-bin', value);
  const left = call.getDeadline();
  callback(null, Buffer.from(String(left === Infinity)), trailer);
};

const fail: handleUnaryCall<Buffer, Buffer> = (_, callback) => {
  const metadata = new Metadata();
  metadata.add('why-bin', Buffer.from([0, 255]));
  callback({ code: status.FAILED_PRECONDITION, details: 'нет: 100%\n', metadata });
};

const wait: handleUnaryCall<Buffer, Buffer> = (call) => {
  call.on('cancelled', () => onCancelled?.());
  onOpened?.();
};

const collect: handleClientStreamingCall<Buffer, Buffer> = (call, callback) => {
  const parts: Buffer[] = [];
  call.on('data', (part: Buffer) => parts.push(part));
  call.on('end', () => callback(null, Buffer.concat(parts)));
};

const produce: handleServerStreamingCall<Buffer, Buffer> = (call) => {
  const [count, size] = call.request.toString().split(' ').map(Number) as [number, number];
  for (let i = 0; i < count; i++) call.write(Buffer.alloc(size, i));
  call.end();
};

const echoStream: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
  call.on('data', (part: Buffer) => call.write(part));
  call.on('end', () => call.end());
};

const failLate: handleServerStreamingCall<Buffer, Buffer> = (call) => {
  call.write(Buffer.from('one'));
  call.emit('error', { code: status.ABORTED, details: 'after one' });
};

beforeAll(async () => {
  server = new Server({ 'grpc.max_receive_message_length': -1 });
  server.addService(
    {
      echo: method('Echo', false, false),
      inspect: method('Inspect', false, false),
      fail: method('Fail', false, false),
      wait: method('Wait', false, false),
      collect: method('Collect', true, false),
      produce: method('Produce', false, true),
      echoStream: method('EchoStream', true, true),
      failLate: method('FailLate', false, true),
    },
    { echo, inspect, fail, wait, collect, produce, echoStream, failLate },
  );
  port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
});

afterAll(async () => {
  await Promise.all(channels.map((made) => made.close()));
  server.forceShutdown();
});

function failureOf(promise: Promise<unknown>): Promise<GrpcError> {
  return promise.then(
    () => Promise.reject(new Error('expected a failure')),
    (error: GrpcError) => error,
  );
}

/** Opens a stream, sends, half-closes, and gives everything that came back. */
function exchange(
  made: GrpcChannel,
  path: string,
  requests: readonly Buffer[],
): Promise<{ messages: Buffer[]; error: GrpcError | undefined }> {
  return new Promise((resolve) => {
    const stream = made.stream(path);
    const messages: Buffer[] = [];
    stream.onMessage = (message) => messages.push(Buffer.from(new Uint8Array(message)));
    stream.onEnd = (error) => resolve({ messages, error });
    for (const request of requests) stream.send(request);
    stream.halfClose();
  });
}

describe('our channel as client of grpc-js', () => {
  it('unary: empty, small and 4 MiB messages', async () => {
    const made = channel();
    for (const size of [0, 5, 16_384, 4 * 1024 * 1024]) {
      const request = Buffer.alloc(size, 'conclave');
      const { message } = await made.unary('/interop.T/Echo', request);
      expect(Buffer.from(message).equals(request)).toBe(true);
    }
  });

  it('4 MiB through windows of a kilobyte', async () => {
    const made = channel({ http2: { initialWindowSize: 1_024, connectionWindowSize: 65_535 } });
    const request = Buffer.alloc(4 * 1024 * 1024, 'window');
    const { message } = await made.unary('/interop.T/Echo', request);
    expect(Buffer.from(message).equals(request)).toBe(true);
  });

  it('many calls at once', async () => {
    const made = channel();
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, i) => made.unary('/interop.T/Echo', Buffer.from(`m${i}`))),
    );
    expect(answers.map(({ message }) => Buffer.from(message).toString())).toEqual(
      answers.map((_, i) => `m${i}`),
    );
  });

  it('metadata both ways, with bytes', async () => {
    const metadata = { 'x-text': ['a', 'b'], 'x-bin': [Buffer.from([1, 2, 3]), Buffer.from([255])] };
    const { message, trailers } = await channel().unary('/interop.T/Inspect', Buffer.alloc(0), { metadata });
    expect(Buffer.from(message).toString()).toBe('true');
    expect(trailers.get('seen')).toMatch(/^a(\||, ?)b$/);
    expect(trailers.getAllBinary('seen-bin').map((bytes) => [...bytes])).toEqual([[1, 2, 3], [255]]);
    const timed = await channel().unary('/interop.T/Inspect', Buffer.alloc(0), { timeoutMs: 5_000 });
    expect(Buffer.from(timed.message).toString()).toBe('false');
  });

  it('errors: status, message, binary trailers, unknown method', async () => {
    const error = await failureOf(channel().unary('/interop.T/Fail', Buffer.alloc(0)));
    expect(error).toMatchObject({
      code: GrpcStatus.FailedPrecondition,
      message: 'нет: 100%\n',
      notSent: false,
    });
    expect([...(error.metadata?.getBinary('why-bin') ?? [])]).toEqual([0, 255]);
    const unknown = await failureOf(channel().unary('/interop.T/Nothing', Buffer.alloc(0)));
    expect(unknown.code).toBe(GrpcStatus.Unimplemented);
  });

  it('a deadline, and a cancellation that reaches the server', async () => {
    const late = await failureOf(channel().unary('/interop.T/Wait', Buffer.alloc(0), { timeoutMs: 50 }));
    expect(late.code).toBe(GrpcStatus.DeadlineExceeded);
    const controller = new AbortController();
    const opened = new Promise<void>((resolve) => (onOpened = resolve));
    const cancelled = new Promise<void>((resolve) => (onCancelled = resolve));
    const failed = failureOf(
      channel().unary('/interop.T/Wait', Buffer.alloc(0), { signal: controller.signal }),
    );
    await opened;
    controller.abort();
    expect((await failed).code).toBe(GrpcStatus.Canceled);
    await cancelled;
  });

  it('gzip', async () => {
    const request = Buffer.alloc(100_000, 'conclave');
    const { message } = await channel({ gzip: true }).unary('/interop.T/Echo', request);
    expect(Buffer.from(message).equals(request)).toBe(true);
  });

  it('client, server and bidirectional streaming', async () => {
    const made = channel();
    const requests = Array.from({ length: 100 }, (_, i) => Buffer.from(`${i},`));
    const collected = await exchange(made, '/interop.T/Collect', requests);
    expect(collected.messages.map(String)).toEqual([Buffer.concat(requests).toString()]);
    const produced = await exchange(made, '/interop.T/Produce', [Buffer.from('200 50000')]);
    expect(produced.error).toBeUndefined();
    expect(produced.messages).toHaveLength(200);
    expect(
      produced.messages.every((message, i) => message.length === 50_000 && message[0] === (i & 0xff)),
    ).toBe(true);
    const echoed = await exchange(made, '/interop.T/EchoStream', requests);
    expect(echoed.messages.map(String)).toEqual(requests.map(String));
  });

  it('an error after a message', async () => {
    const { messages, error } = await exchange(channel(), '/interop.T/FailLate', [Buffer.alloc(0)]);
    expect(messages.map(String)).toEqual(['one']);
    expect(error).toMatchObject({ code: GrpcStatus.Aborted, message: 'after one' });
  });
});
