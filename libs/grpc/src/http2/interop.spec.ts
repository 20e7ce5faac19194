import http2 from 'node:http2';
import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Connection } from './connection.js';
import { type ConnectionEvents } from './events.js';
import { type HeaderBlock } from './header-block.js';
import { type Stream } from './stream.js';

/** The other implementation is Node's own (nghttp2), connected through memory. */

interface Call {
  request: HeaderBlock | undefined;
  readonly chunks: Buffer[];
  trailers: HeaderBlock | undefined;
}

/** Our connection behind a Duplex that node:http2 takes for a socket. */
class Wire extends Duplex {
  readonly connection: Connection;
  readonly calls = new Map<number, Call>();
  onRequest: (stream: Stream, call: Call) => void = () => {};
  onTrailers: (call: Call) => void = () => {};
  readonly notes: string[] = [];
  private scheduled = false;

  constructor(role: 'server' | 'client') {
    super();
    this.connection = new Connection(role, { initialWindowSize: 70_000 }, this.events(), () => 0);
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.connection.receive(chunk);
    done();
  }

  override _read(): void {
    // Output is pushed whenever the connection has some.
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      while (this.connection.hasOutput) for (const part of this.connection.takeOutput()) this.push(part);
    });
  }

  private call(stream: Stream): Call {
    const known = this.calls.get(stream.id);
    if (known !== undefined) return known;
    const call: Call = { request: undefined, chunks: [], trailers: undefined };
    this.calls.set(stream.id, call);
    return call;
  }

  private events(): ConnectionEvents {
    return {
      headers: (stream, block, endStream) => {
        this.call(stream).request = block;
        if (endStream) this.onRequest(stream, this.call(stream));
      },
      trailers: (stream, block) => {
        this.call(stream).trailers = block;
        this.onTrailers(this.call(stream));
      },
      data: (stream, buffer, start, end, endStream) => {
        this.call(stream).chunks.push(Buffer.from(buffer.subarray(start, end)));
        this.connection.consumed(stream, end - start);
        if (endStream) this.onRequest(stream, this.call(stream));
      },
      reset: (stream, code) => this.notes.push(`reset ${stream.id} ${code}`),
      writable: () => {},
      goaway: (_last, code) => this.notes.push(`goaway ${code}`),
      pong: (id) => this.notes.push(`pong ${id}`),
      settings: () => {},
      drained: () => {
        this.notes.push('drained');
        queueMicrotask(() => this.push(null));
      },
      output: () => this.schedule(),
      closed: ({ code, reason }) => this.notes.push(`closed ${code} ${reason}`),
    };
  }
}

function body(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 7 + (i >>> 8)) & 0xff));
}

interface Answer {
  headers: http2.IncomingHttpHeaders;
  trailers: http2.IncomingHttpHeaders;
  content: Buffer;
}

async function request(session: http2.ClientHttp2Session, path: string, content: Buffer): Promise<Answer> {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    te: 'trailers',
    'x-latin': 'caf\u00e9',
    'x-id': path,
  });
  const answer: Answer = { headers: {}, trailers: {}, content: Buffer.alloc(0) };
  const chunks: Buffer[] = [];
  stream.on('response', (headers) => (answer.headers = headers));
  stream.on('trailers', (trailers) => (answer.trailers = trailers));
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.end(content);
  await new Promise<void>((resolve, reject) => stream.on('end', resolve).on('error', reject));
  answer.content = Buffer.concat(chunks);
  return answer;
}

describe('our server with the client of node:http2', () => {
  it('serves many calls of all sizes at once', async () => {
    const server = new Wire('server');
    server.onRequest = (stream, call) => {
      server.connection.sendHeaders(
        stream,
        [':status', '200', 'x-path', call.request?.get(':path') ?? '', 'x-more', 'm'.repeat(50)],
        false,
      );
      server.connection.sendData(stream, Buffer.concat(call.chunks), false);
      server.connection.sendTrailers(stream, [
        'grpc-status',
        '0',
        'x-latin',
        call.request?.get('x-latin') ?? '',
      ]);
    };
    const session = http2.connect('http://memory', { createConnection: () => server });
    const sizes = [0, 1, 100, 16_384, 16_385, 70_001, 300_000, ...Array.from({ length: 60 }, (_, i) => i)];
    const answers = await Promise.all(sizes.map((size, i) => request(session, `/call/${i % 9}`, body(size))));
    answers.forEach((answer, i) => {
      expect(answer.content.equals(body(sizes[i]))).toBe(true);
      expect(answer.headers['x-path']).toBe(`/call/${i % 9}`);
      expect(answer.trailers['grpc-status']).toBe('0');
      expect(answer.trailers['x-latin']).toBe('caf\u00e9');
    });
    expect(server.notes).toEqual([]);
    session.destroy();
  });

  it('understands ping, cancel and goodbye', async () => {
    const server = new Wire('server');
    const session = http2.connect('http://memory', { createConnection: () => server });
    await new Promise<void>((resolve, reject) =>
      session.ping((error) => (error ? reject(error) : resolve())),
    );
    const stream = session.request({ ':path': '/' }, { endStream: false });
    if (stream.pending) await new Promise<void>((resolve) => stream.once('ready', resolve));
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await new Promise<void>((resolve) => stream.once('close', resolve));
    session.close();
    await new Promise<void>((resolve) => session.once('close', resolve));
    expect(server.notes.filter((note) => note.startsWith('reset'))).toEqual(['reset 1 8']);
    expect(server.notes.some((note) => note.startsWith('closed') && !note.startsWith('closed 0'))).toBe(
      false,
    );
  });

  it('a violation is seen as GOAWAY with our code', async () => {
    const server = new Wire('server');
    const session = http2.connect('http://memory', { createConnection: () => server });
    const code = new Promise<number>((resolve) => session.once('goaway', resolve));
    session.on('error', () => {});
    server.connection.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM, 'too_many_pings');
    expect(await code).toBe(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
    session.destroy();
  });
});

describe('our client with the server of node:http2', () => {
  it('calls with bodies of all sizes', async () => {
    const client = new Wire('client');
    const session = http2.performServerHandshake(client, { settings: { initialWindowSize: 5_000 } });
    session.on('stream', (stream, headers) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        stream.respond({ ':status': 200, 'x-path': headers[':path'] }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end(Buffer.concat(chunks));
      });
    });
    const sizes = [0, 5, 4_999, 5_000, 5_001, 100_000, 1, 2, 3];
    let left = sizes.length;
    const done = new Promise<void>((resolve) => (client.onTrailers = () => --left === 0 && resolve()));
    for (const size of sizes) {
      const fields = [
        ':method',
        'POST',
        ':scheme',
        'http',
        ':path',
        `/${size}`,
        ':authority',
        'memory',
        'te',
        'trailers',
      ];
      const stream = client.connection.openStream(fields, false);
      client.connection.sendData(stream, body(size), true);
    }
    await done;
    sizes.forEach((size, i) => {
      const call = client.calls.get(2 * i + 1);
      expect(call?.request?.get('x-path')).toBe(`/${size}`);
      expect(Buffer.concat(call?.chunks ?? []).equals(body(size))).toBe(true);
      expect(call?.trailers?.get('grpc-status')).toBe('0');
    });
    expect(client.notes).toEqual([]);
    session.destroy();
  });
});
