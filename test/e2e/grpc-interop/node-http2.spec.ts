import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type Http2Server,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GrpcChannel, GrpcStatus } from '@conclave/grpc';
import { startServer, type TestServer } from './servers.js';

function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

interface Answer {
  readonly headers: Record<string, unknown>;
  readonly trailers: Record<string, unknown>;
  readonly body: Buffer;
}

async function read(stream: ClientHttp2Stream): Promise<Answer> {
  let headers: Record<string, unknown> = {};
  let trailers: Record<string, unknown> = {};
  const chunks: Buffer[] = [];
  stream.on('response', (fields) => (headers = { ...fields }));
  stream.on('trailers', (fields) => (trailers = { ...fields }));
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'close');
  return { headers, trailers, body: Buffer.concat(chunks) };
}

const grpcHeaders = (path: string): Record<string, string> => ({
  ':method': 'POST',
  ':path': path,
  'content-type': 'application/grpc',
  te: 'trailers',
});

describe('node:http2 as client of our server', () => {
  let server: TestServer;
  const sessions: ClientHttp2Session[] = [];

  function session(settings: Record<string, number> = {}): ClientHttp2Session {
    const made = connect(`http://${server.address}`, { settings });
    sessions.push(made);
    return made;
  }

  beforeAll(async () => {
    server = await startServer();
  });

  afterAll(async () => {
    for (const made of sessions) made.destroy();
    await server.close();
  });

  it('unary with trailers, and trailers only', async () => {
    const ok = session().request(grpcHeaders('/interop.T/Echo'));
    ok.end(framed(Buffer.from('hello')));
    const answer = await read(ok);
    expect(answer.headers).toMatchObject({ ':status': 200, 'content-type': 'application/grpc' });
    expect(answer.trailers).toMatchObject({ 'grpc-status': '0' });
    expect(answer.body).toEqual(framed(Buffer.from('hello')));
    const failed = session().request(grpcHeaders('/interop.T/Fail'));
    failed.end(framed(Buffer.alloc(0)));
    const failure = await read(failed);
    expect(failure.headers).toMatchObject({ ':status': 200, 'grpc-status': '9', 'why-bin': 'AP8' });
    expect(failure.headers['grpc-message']).toBe('%D0%BD%D0%B5%D1%82: 100%25%0A');
    expect(failure.body).toHaveLength(0);
  });

  it('an answer of 4 MiB through a window of a kilobyte', async () => {
    const request = session({ initialWindowSize: 1_024 }).request(grpcHeaders('/interop.T/Echo'));
    const message = Buffer.alloc(4 * 1024 * 1024 - 5, 'window');
    request.end(framed(message));
    const answer = await read(request);
    expect(answer.body.equals(framed(message))).toBe(true);
    expect(answer.trailers).toMatchObject({ 'grpc-status': '0' });
  });

  it('many messages in one frame, and a message cut over many frames', async () => {
    const request = session().request(grpcHeaders('/interop.T/Collect'));
    request.write(Buffer.concat(['a', 'b', 'c'].map((part) => framed(Buffer.from(part)))));
    for (const octet of framed(Buffer.from('def'))) request.write(Buffer.from([octet]));
    request.end();
    expect((await read(request)).body).toEqual(framed(Buffer.from('abcdef')));
  });

  it('plain HTTP/2 goes over the bridge', async () => {
    const get = session().request({ ':path': '/health?exclude=NOSPACE' });
    get.end();
    const answer = await read(get);
    expect(answer.headers).toMatchObject({ ':status': 200, 'content-type': 'text/plain' });
    expect(answer.body.toString()).toBe('2 GET /health?exclude=NOSPACE 0\n');
    const post = session().request({
      ':method': 'POST',
      ':path': '/v3/kv/put',
      'content-type': 'application/json',
    });
    post.end('{}');
    expect((await read(post)).body.toString()).toBe('2 POST /v3/kv/put 2\n');
  });

  it('pings are answered', async () => {
    const made = session();
    await once(made, 'connect');
    const payload = Buffer.from('12345678');
    const answered = await new Promise<Buffer>((resolve, reject) => {
      made.ping(payload, (error, _, echoed) => (error === null ? resolve(echoed) : reject(error)));
    });
    expect(Buffer.from(answered)).toEqual(payload);
  });
});

describe('our channel as client of node:http2', () => {
  let server: Http2Server;
  let channel: GrpcChannel;
  let answer: (stream: ServerHttp2Stream) => void = () => {};

  beforeAll(async () => {
    server = createServer({ settings: { initialWindowSize: 1_000, maxConcurrentStreams: 2 } });
    server.on('stream', (stream) => answer(stream));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    channel = new GrpcChannel({
      target: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    });
  });

  afterAll(async () => {
    await channel.close();
    server.close();
  });

  /** Answers with the same bytes, as gRPC does. */
  function echo(stream: ServerHttp2Stream): void {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.concat(chunks));
    });
  }

  it('4 MiB through a window of a kilobyte, and more calls than streams', async () => {
    answer = echo;
    const request = Buffer.alloc(4 * 1024 * 1024, 'window');
    const { message } = await channel.unary('/x.X/Y', request);
    expect(Buffer.from(message).equals(request)).toBe(true);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => channel.unary('/x.X/Y', Buffer.from([i]))),
    );
    expect(answers.map((one) => one.message[0])).toEqual(answers.map((_, i) => i));
  });

  it('an answer without trailers, and one that is no gRPC', async () => {
    answer = (stream) => {
      stream.resume();
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.end(framed(Buffer.from('x')));
    };
    await expect(channel.unary('/x.X/Y', Buffer.alloc(0))).rejects.toMatchObject({
      code: GrpcStatus.Internal,
    });
    answer = (stream) => {
      stream.resume();
      stream.respond({ ':status': 502 });
      stream.end('bad gateway');
    };
    await expect(channel.unary('/x.X/Y', Buffer.alloc(0))).rejects.toMatchObject({
      code: GrpcStatus.Unavailable,
    });
  });

  it('an informational answer before the real one', async () => {
    answer = (stream) => {
      stream.additionalHeaders({ ':status': 103 });
      echo(stream);
    };
    expect((await channel.unary('/x.X/Y', Buffer.from('hi'))).message).toHaveLength(2);
  });
});
