import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { Client, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ClientTlsOptions, GrpcChannel, GrpcStatus, type TlsPeer } from '@conclave/grpc';
import { type KeyPair, TestAuthority } from './certificates.js';
import { isInstalled, run, temporaryFolder } from './command.js';
import { startServer, type TestServer } from './servers.js';

describe.skipIf(!isInstalled('openssl'))('TLS', () => {
  const folder = temporaryFolder();
  let authority: TestAuthority;
  let serverPair: KeyPair;
  let clientPair: KeyPair;
  let server: TestServer;
  let strict: TestServer;
  let seen: TlsPeer | undefined;
  const channels: GrpcChannel[] = [];

  function channel(target: TestServer, tls: ClientTlsOptions, host = '127.0.0.1'): GrpcChannel {
    const made = new GrpcChannel({ target: { host, port: target.port.local.port, tls } });
    channels.push(made);
    return made;
  }

  function registerWhoAmI(target: TestServer): void {
    target.grpc.register('/interop.T/WhoAmI', {
      kind: 'unary',
      handle: (_, call) => {
        seen = call.tls;
        call.respond(Buffer.from(call.tls?.certificate?.commonName ?? ''));
      },
    });
  }

  beforeAll(async () => {
    authority = new TestAuthority(folder.path);
    serverPair = authority.issue('server');
    clientPair = authority.issue('alice');
    const ca = authority.certificate;
    server = await startServer({}, { tls: serverPair });
    strict = await startServer({}, { tls: { ...serverPair, ca, requireClientCertificate: true } });
    registerWhoAmI(server);
    registerWhoAmI(strict);
  });

  afterAll(async () => {
    await Promise.all(channels.map((made) => made.close()));
    await Promise.all([server.close(), strict.close()]);
    folder.remove();
  });

  it('our channel and our server, by address and by name', async () => {
    const ca = authority.certificate;
    for (const host of ['127.0.0.1', 'localhost']) {
      const { message } = await channel(server, { ca }, host).unary('/interop.T/Echo', Buffer.from('hello'));
      expect(Buffer.from(message).toString()).toBe('hello');
    }
  });

  it('4 MiB messages', async () => {
    const request = Buffer.alloc(4 * 1024 * 1024 - 5, 'tls');
    const { message } = await channel(server, { ca: authority.certificate }).unary(
      '/interop.T/Echo',
      request,
    );
    expect(Buffer.from(message).equals(request)).toBe(true);
  });

  it('refuses a server that it does not trust, or whose name is another', async () => {
    const stranger = channel(server, {}).unary('/interop.T/Echo', Buffer.alloc(0));
    await expect(stranger).rejects.toMatchObject({ code: GrpcStatus.Unavailable, notSent: true });
    await expect(stranger).rejects.toThrow(/unable to (verify|get)|self-signed/);
    const misnamed = channel(server, { ca: authority.certificate, serverName: 'elsewhere.example' });
    await expect(misnamed.unary('/interop.T/Echo', Buffer.alloc(0))).rejects.toThrow(/elsewhere\.example/);
    const careless = channel(server, { insecureSkipVerify: true });
    await careless.unary('/interop.T/Echo', Buffer.alloc(0));
  });

  it('client certificates: required, verified, and shown to the method', async () => {
    const ca = authority.certificate;
    const { message } = await channel(strict, { ca, ...clientPair }).unary(
      '/interop.T/WhoAmI',
      Buffer.alloc(0),
    );
    expect(Buffer.from(message).toString()).toBe('alice');
    expect(seen).toMatchObject({ alpnProtocol: 'h2', authorized: true });
    expect(seen?.certificate?.subjectAltName).toContain('DNS:localhost');
    const without = channel(strict, { ca }).unary('/interop.T/WhoAmI', Buffer.alloc(0));
    await expect(without).rejects.toMatchObject({ code: GrpcStatus.Unavailable });
    await channel(server, { ca }).unary('/interop.T/WhoAmI', Buffer.alloc(0));
    expect(seen).toMatchObject({ certificate: undefined, authorized: false });
  });

  it('grpc-js over TLS', async () => {
    const made = new Client(server.address, credentials.createSsl(Buffer.from(authority.certificate)));
    const same = (bytes: Buffer): Buffer => bytes;
    const answer = await new Promise<Buffer | undefined>((resolve, reject) => {
      made.makeUnaryRequest('/interop.T/Echo', same, same, Buffer.from('js'), (error, value) =>
        error === null ? resolve(value) : reject(error),
      );
    });
    made.close();
    expect(answer?.toString()).toBe('js');
  });

  async function negotiate(
    protocols: string[] | undefined,
  ): Promise<{ socket: TLSSocket; alpn: string | false }> {
    const options: ConnectionOptions = {
      port: server.port.local.port,
      host: '127.0.0.1',
      ca: authority.certificate,
    };
    const socket = connectTls(protocols === undefined ? options : { ...options, ALPNProtocols: protocols });
    await once(socket, 'secureConnect');
    return { socket, alpn: socket.alpnProtocol ?? false };
  }

  it('ALPN: http/1.1 whenever it is offered, else h2', async () => {
    for (const [offer, chosen] of [
      [['h2', 'http/1.1'], 'http/1.1'],
      [['http/1.1', 'h2'], 'http/1.1'],
      [['h2'], 'h2'],
      [['grpc-exp', 'h2'], 'h2'],
      [undefined, false],
    ] as const) {
      const { socket, alpn } = await negotiate(offer === undefined ? undefined : [...offer]);
      expect(alpn).toBe(chosen);
      socket.destroy();
    }
    await expect(negotiate(['spdy/3'])).rejects.toThrow(/no application protocol/);
  });

  it('without ALPN the first bytes decide', async () => {
    const { socket } = await negotiate(undefined);
    socket.end('GET /plain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(socket, 'close');
    expect(Buffer.concat(chunks).toString()).toContain('1.1 GET /plain 0');
  });

  it('new handshakes use new certificates, old connections live on', async () => {
    const ca = authority.certificate;
    const old = channel(server, { ca });
    await old.unary('/interop.T/Echo', Buffer.alloc(0));
    server.port.replaceTls(authority.issue('renewed'));
    const { socket } = await negotiate(['h2']);
    expect(socket.getPeerCertificate().subject.CN).toBe('renewed');
    socket.destroy();
    await old.unary('/interop.T/Echo', Buffer.alloc(0));
    expect(() => server.port.replaceTls({ cert: serverPair.cert, key: clientPair.key })).toThrow(
      /key values mismatch/,
    );
    await channel(server, { ca }).unary('/interop.T/Echo', Buffer.alloc(0));
  });

  it('closes clients that do not finish the handshake', async () => {
    const impatient = await startServer({}, { tls: serverPair, handshakeTimeoutMs: 100 });
    const silent = connectTcp(impatient.port.local.port, '127.0.0.1');
    silent.on('error', () => {});
    silent.resume();
    await once(silent, 'close');
    const garbage = connectTcp(impatient.port.local.port, '127.0.0.1');
    garbage.on('error', () => {});
    garbage.resume();
    garbage.write('GET / HTTP/1.1\r\n\r\n');
    await once(garbage, 'close');
    expect(impatient.port.stats.pending).toBe(0);
    const { message } = await channel(impatient, { ca: authority.certificate }).unary(
      '/interop.T/Echo',
      Buffer.from('x'),
    );
    expect(message).toHaveLength(1);
    await impatient.close();
  });

  it.skipIf(!isInstalled('curl'))('curl gets HTTP/1.1', async () => {
    const url = `https://localhost:${server.port.local.port}/health`;
    writeFileSync(join(folder.path, 'authority.pem'), authority.certificate);
    const args = [
      '-sS',
      '--cacert',
      join(folder.path, 'authority.pem'),
      '--resolve',
      `${new URL(url).host}:127.0.0.1`,
    ];
    expect((await run('curl', [...args, url])).stdout).toBe('1.1 GET /health 0\n');
  });
});
