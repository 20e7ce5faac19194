import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isInstalled, run, temporaryFolder } from './command.js';
import { startServer, type TestServer } from './servers.js';

let server: TestServer;
const folder = temporaryFolder();

beforeAll(async () => {
  server = await startServer();
});

afterAll(async () => {
  await server.close();
  folder.remove();
});

describe.skipIf(!isInstalled('curl'))('curl', () => {
  it('HTTP/2 with prior knowledge goes over the bridge', async () => {
    const { stdout } = await run('curl', [
      '-sS',
      '--http2-prior-knowledge',
      `http://${server.address}/version`,
    ]);
    expect(stdout).toBe('2 GET /version 0\n');
    const body = 'x'.repeat(200_000);
    writeFileSync(join(folder.path, 'body'), body);
    const url = `http://${server.address}/v3/kv/range`;
    const args = ['-sS', '--http2-prior-knowledge', '--data-binary', `@${join(folder.path, 'body')}`, url];
    expect((await run('curl', args)).stdout).toBe('2 POST /v3/kv/range 200000\n');
  });

  it('HTTP/1.1 on the same port goes to the HTTP/1.1 server, also with a body', async () => {
    const url = `http://${server.address}/health`;
    expect((await run('curl', ['-sS', '--http1.1', url, '--next', '-sS', '--http1.1', url])).stdout).toBe(
      '1.1 GET /health 0\n1.1 GET /health 0\n',
    );
    const upload = ['-sS', '--http1.1', '--data-binary', `@${join(folder.path, 'body')}`, url];
    expect((await run('curl', upload)).stdout).toBe('1.1 POST /health 200000\n');
    // curl asks for an upgrade to HTTP/2 here; the HTTP/1.1 server does not take it, and both go on.
    expect((await run('curl', ['-sS', '--http2', url])).stdout).toBe('1.1 GET /health 0\n');
  });

  it('gRPC by hand', async () => {
    const request = join(folder.path, 'request');
    const answer = join(folder.path, 'answer');
    writeFileSync(request, Buffer.from([0, 0, 0, 0, 2, 0x68, 0x69]));
    const headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];
    const args = [
      '-sS',
      '-v',
      '--http2-prior-knowledge',
      ...headers,
      '--data-binary',
      `@${request}`,
      '-o',
      answer,
    ];
    const { stderr } = await run('curl', [...args, `http://${server.address}/interop.T/Echo`]);
    expect(stderr).toContain('grpc-status: 0');
    expect([...readFileSync(answer)]).toEqual([0, 0, 0, 0, 2, 0x68, 0x69]);
  });
});

describe('HTTP/1.1 by hand', () => {
  it('is answered when the request comes in single octets and the client closes its side at once', async () => {
    const socket = connect(server.port.local.port, '127.0.0.1');
    const chunks: Buffer[] = [];
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.setNoDelay(true);
    for (const character of 'GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
      socket.write(character);
    socket.end();
    await closed;
    expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 200 OK[^]*1\.1 GET \/slow 0\n/);
  });

  it('garbage is closed', async () => {
    const before = server.port.stats.garbage;
    const socket = connect(server.port.local.port, '127.0.0.1');
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    socket.on('error', () => {});
    socket.resume();
    socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]));
    await closed;
    expect(server.port.stats.garbage).toBe(before + 1);
  });
});

describe.skipIf(!isInstalled('h2load'))('h2load', () => {
  it.each([
    ['10', '1'],
    ['4', '25'],
  ])('200 requests over %s connections with %s streams each', async (connections, streams) => {
    const body = join(folder.path, 'h2load-body');
    writeFileSync(body, Buffer.concat([Buffer.from([0, 0, 0, 1, 0]), Buffer.alloc(256, 'v')]));
    const headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];
    const args = ['-n', '200', '-c', connections, '-m', streams, '-d', body, ...headers];
    const { stdout } = await run('h2load', [...args, `http://${server.address}/interop.T/Echo`]);
    expect(stdout).toContain(
      '200 total, 200 started, 200 done, 200 succeeded, 0 failed, 0 errored, 0 timeout',
    );
    expect(stdout).toContain('200 2xx, 0 3xx, 0 4xx, 0 5xx');
  });
});
