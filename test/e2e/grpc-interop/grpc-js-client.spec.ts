import {
  Client,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
  type StatusObject,
  status,
  type requestCallback,
} from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer, type TestServer } from './servers.js';

const same = (bytes: Buffer): Buffer => bytes;

let server: TestServer;
const clients: Client[] = [];

function client(options: ClientOptions = {}, target: TestServer = server): Client {
  const made = new Client(target.address, credentials.createInsecure(), options);
  clients.push(made);
  return made;
}

interface Outcome {
  readonly error: ServiceError | null;
  readonly message: Buffer | undefined;
  readonly trailers: Metadata;
}

function unary(
  made: Client,
  method: string,
  request: Buffer,
  metadata = new Metadata(),
  options: { deadline?: number } = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    let trailers = new Metadata();
    let outcome: { error: ServiceError | null; message: Buffer | undefined } | undefined;
    const callback: requestCallback<Buffer> = (error, message) => {
      outcome = { error, message };
    };
    made
      .makeUnaryRequest(`/interop.T/${method}`, same, same, request, metadata, options, callback)
      .on('status', (told) => {
        trailers = told.metadata;
        // The callback runs before or after this event, depending on the outcome.
        setImmediate(() => resolve({ error: outcome?.error ?? null, message: outcome?.message, trailers }));
      });
  });
}

function statusOf(
  call: ClientReadableStream<Buffer> | ClientDuplexStream<Buffer, Buffer>,
): Promise<StatusObject> {
  return new Promise((resolve) => call.on('status', resolve));
}

beforeAll(async () => {
  server = await startServer();
});

afterAll(async () => {
  for (const made of clients) made.close();
  await server.close();
  expect(server.observed.defects).toEqual([]);
});

describe('grpc-js as client of our server', () => {
  it('unary: empty, small and 4 MiB messages', async () => {
    const made = client({ 'grpc.max_receive_message_length': -1 });
    for (const size of [0, 5, 16_384, 4 * 1024 * 1024 - 5]) {
      const request = Buffer.alloc(size, 'conclave');
      const { error, message } = await unary(made, 'Echo', request);
      expect(error).toBeNull();
      expect(message?.equals(request)).toBe(true);
    }
  });

  it('many calls at once on one connection', async () => {
    const made = client();
    const outcomes = await Promise.all(
      Array.from({ length: 300 }, (_, i) => unary(made, 'Echo', Buffer.from(`m${i}`))),
    );
    expect(outcomes.map(({ message }) => message?.toString())).toEqual(outcomes.map((_, i) => `m${i}`));
  });

  it('metadata with text and bytes', async () => {
    const metadata = new Metadata();
    metadata.add('x-text', 'one');
    metadata.add('x-text', 'two, three');
    metadata.add('x-bin', Buffer.from([1, 2, 3]));
    metadata.add('x-bin', Buffer.from([255]));
    const { message } = await unary(client(), 'Metadata', Buffer.alloc(0), metadata);
    const seen = JSON.parse(message?.toString() ?? '') as { text: string[]; binary: number[][] };
    expect(seen.binary).toEqual([[1, 2, 3], [255]]);
    expect(seen.text.join(', ')).toBe('one, two, three');
  });

  it('an error without a body, with message and binary trailers', async () => {
    const { error, trailers } = await unary(client(), 'Fail', Buffer.alloc(0));
    expect(error?.code).toBe(status.FAILED_PRECONDITION);
    expect(error?.details).toBe('нет: 100%\n');
    expect(trailers.get('why-bin')).toEqual([Buffer.from([0, 255])]);
  });

  it('an unknown method, and a message above the limit', async () => {
    expect((await unary(client(), 'Nothing', Buffer.alloc(0))).error?.code).toBe(status.UNIMPLEMENTED);
    const { error } = await unary(client(), 'Echo', Buffer.alloc(4 * 1024 * 1024 + 1));
    expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(error?.details).toBe('grpc: received message larger than max (4194305 vs. 4194304)');
  });

  it('gzip both ways', async () => {
    const made = client({ 'grpc.default_compression_algorithm': 2 });
    const request = Buffer.alloc(100_000, 'conclave');
    const stats = server.grpc.stats.methods.get('/interop.T/Echo');
    const before = [stats?.bytesReceived ?? 0, stats?.bytesSent ?? 0] as const;
    const { error, message } = await unary(made, 'Echo', request);
    expect(error).toBeNull();
    expect(message?.equals(request)).toBe(true);
    expect((stats?.bytesReceived ?? 0) - before[0]).toBeLessThan(2_000);
    expect((stats?.bytesSent ?? 0) - before[1]).toBeLessThan(2_000);
  });

  it('a deadline', async () => {
    const cancelled = new Promise<void>((resolve) => (server.observed.onCancelled = resolve));
    const { error } = await unary(client(), 'Wait', Buffer.alloc(0), new Metadata(), {
      deadline: Date.now() + 100,
    });
    expect(error?.code).toBe(status.DEADLINE_EXCEEDED);
    await cancelled;
  });

  it('a cancellation', async () => {
    const opened = new Promise<void>((resolve) => (server.observed.onOpened = resolve));
    const cancelled = new Promise<void>((resolve) => (server.observed.onCancelled = resolve));
    const failed = new Promise<ServiceError | null>((resolve) => {
      const call = client().makeUnaryRequest('/interop.T/Wait', same, same, Buffer.alloc(0), resolve);
      void opened.then(() => call.cancel());
    });
    expect((await failed)?.code).toBe(status.CANCELLED);
    await cancelled;
  });

  it('client streaming', async () => {
    const outcome = await new Promise<Buffer | undefined>((resolve, reject) => {
      const call = client().makeClientStreamRequest('/interop.T/Collect', same, same, (error, value) => {
        if (error === null) resolve(value);
        else reject(error);
      });
      for (let i = 0; i < 100; i++) call.write(Buffer.from(`${i},`));
      call.end();
    });
    expect(outcome?.toString()).toBe(Array.from({ length: 100 }, (_, i) => `${i},`).join(''));
  });

  it('server streaming, with more than all windows and queues hold', async () => {
    const call = client().makeServerStreamRequest('/interop.T/Produce', same, same, Buffer.from('300 50000'));
    let count = 0;
    let octets = 0;
    call.on('data', (message: Buffer) => {
      count++;
      octets += message.length;
    });
    const told = await statusOf(call);
    expect(told.code).toBe(status.OK);
    expect([count, octets]).toEqual([300, 15_000_000]);
  });

  it('bidirectional streaming', async () => {
    const call = client().makeBidiStreamRequest('/interop.T/EchoStream', same, same);
    const seen: string[] = [];
    call.on('data', (message: Buffer) => {
      seen.push(message.toString());
      if (seen.length < 50) call.write(Buffer.from(`m${seen.length}`));
      else call.end();
    });
    call.write(Buffer.from('m0'));
    const told = await statusOf(call);
    expect(told.code).toBe(status.OK);
    expect(seen).toEqual(Array.from({ length: 50 }, (_, i) => `m${i}`));
  });

  it('an error after a message, while the client still sends', async () => {
    const call = client().makeBidiStreamRequest('/interop.T/FailLate', same, same);
    const seen: string[] = [];
    call.on('data', (message: Buffer) => seen.push(message.toString()));
    call.on('error', () => {});
    const told = await statusOf(call);
    expect([seen, told.code, told.details]).toEqual([['one'], status.ABORTED, 'after one']);
  });

  it('the end of the server: running streams end, the client learns that it must go elsewhere', async () => {
    const other = await startServer();
    const made = client({}, other);
    const opened = new Promise<void>((resolve) => (other.observed.onOpened = resolve));
    const call = made.makeServerStreamRequest('/interop.T/Hold', same, same, Buffer.alloc(0));
    call.on('data', () => {});
    call.on('error', () => {});
    await opened;
    const ended = statusOf(call);
    await other.close();
    expect([status.UNAVAILABLE, status.CANCELLED]).toContain((await ended).code);
  });
});
