import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ClientOptions,
  type ClientWarning,
  type ConclaveClient,
  type ConnectionState,
  createClient,
} from '@conclave/client';
import { firstValueFrom, filter } from 'rxjs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePorts, type MemberKind, MemberProcess } from '../../members/member-process.js';
import { quickTargets } from '../client/targets.js';
import { type KeyPair, TestAuthority } from '../grpc-interop/certificates.js';

const folder = mkdtempSync(join(tmpdir(), 'conclave-sdk-tls-'));
let trusted: TestAuthority;
let other: TestAuthority;
let client: KeyPair;

beforeAll(() => {
  for (const name of ['trusted', 'other']) mkdirSync(join(folder, name));
  trusted = new TestAuthority(join(folder, 'trusted'));
  other = new TestAuthority(join(folder, 'other'));
  client = trusted.issue('client');
});
afterAll(() => rmSync(folder, { recursive: true }));

const toEnd: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of toEnd.splice(0).reverse()) await end();
});

/** A member that speaks TLS to clients, with the certificate in the files that `install` writes. */
class TlsMember {
  private constructor(
    private readonly member: MemberProcess,
    readonly port: number,
  ) {}

  static async start(kind: MemberKind, pair: KeyPair, flags: readonly string[] = []): Promise<TlsMember> {
    const [clientPort = 0, peerPort = 0] = await freePorts(2);
    const url = `https://127.0.0.1:${clientPort}`;
    const [certFile, keyFile] = [join(folder, `${clientPort}.pem`), join(folder, `${clientPort}.key`)];
    const initialCluster = `test=http://127.0.0.1:${peerPort}`;
    const member = await MemberProcess.create(kind, {
      place: { name: 'test', initialCluster, state: 'new', clientPort, peerPort },
      clientScheme: 'https',
      flags: [`--cert-file=${certFile}`, `--key-file=${keyFile}`, ...flags],
    });
    toEnd.push(() => member.remove());
    const started = new TlsMember(member, clientPort);
    started.install(pair);
    await member.start();
    expect(member.url).toBe(url);
    return started;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  install(pair: KeyPair): void {
    writeFileSync(join(folder, `${this.port}.pem`), pair.cert);
    writeFileSync(join(folder, `${this.port}.key`), pair.key);
  }

  async restartWith(pair: KeyPair): Promise<void> {
    await this.member.stop('SIGKILL');
    this.install(pair);
    await this.member.start();
  }
}

const warnings: ClientWarning[] = [];

function connect(options: Partial<ClientOptions> & Pick<ClientOptions, 'endpoints'>): ConclaveClient {
  warnings.length = 0;
  const connected = createClient({ onWarning: (warning) => warnings.push(warning), ...options });
  toEnd.push(() => connected.close({ drain: '1s' }));
  return connected;
}

async function failureOf(
  options: Partial<ClientOptions> & Pick<ClientOptions, 'endpoints'>,
): Promise<unknown> {
  const failing = connect({ requestTimeout: '1500ms', ...options });
  return failing.kv.get('k').then(
    () => 'no failure',
    (error: unknown) => error,
  );
}

describe.each(quickTargets)('TLS with %s', (kind) => {
  it('is used for https:// and, where there are TLS options, for endpoints without a scheme', async () => {
    const member = await TlsMember.start(kind, trusted.issue('server'));
    const tls = { ca: trusted.certificate };
    await connect({ endpoints: [member.url], tls }).kv.put('k', '1');
    await connect({ endpoints: [`localhost:${member.port}`], tls }).kv.put('k', '2');
    const got = await connect({ endpoints: [member.url], tls }).kv.get('k');
    expect(got?.text).toBe('2');
    expect(warnings).toEqual([]);
  });

  it('names what is wrong with a certificate, and the remedy', async () => {
    const tls = { ca: trusted.certificate };
    const unknown = await TlsMember.start(kind, other.issue('server'));
    expect(await failureOf({ endpoints: [unknown.url], tls })).toMatchObject({
      name: 'TlsError',
      code: 'tls',
      problem: 'unknown-authority',
      endpoint: unknown.url,
      message: expect.stringContaining('tls.caFile') as string,
    });
    expect(warnings).toMatchObject([{ code: 'tls-failed' }]);

    const expired = await TlsMember.start(kind, trusted.issue('expired', { days: -1 }));
    const failure = await failureOf({ endpoints: [expired.url], tls });
    expect(failure).toMatchObject({
      problem: 'expired',
      message: expect.stringContaining('renew') as string,
    });

    const elsewhere = await TlsMember.start(kind, trusted.issue('elsewhere', { names: 'DNS:store.example' }));
    expect(await failureOf({ endpoints: [elsewhere.url], tls })).toMatchObject({
      problem: 'wrong-host',
      message: expect.stringContaining('serverName') as string,
    });
    const named = { ...tls, serverName: 'store.example' };
    await connect({ endpoints: [elsewhere.url], tls: named }).kv.put('k', '1');
  });

  it('shows its certificate to members that ask for one, and names the remedy when it has none', async () => {
    const flags = ['--client-cert-auth', `--trusted-ca-file=${trusted.certificatePath}`];
    const member = await TlsMember.start(kind, trusted.issue('server'), flags);
    const ca = trusted.certificate;
    await connect({ endpoints: [member.url], tls: { ca, ...client } }).kv.put('k', '1');
    const wanted = { problem: 'client-certificate', message: expect.stringContaining('keyFile') as string };
    expect(await failureOf({ endpoints: [member.url], tls: { ca } })).toMatchObject(wanted);
    // Go's servers refuse a certificate in the handshake, Node's by closing the connection after it.
    const stranger = await failureOf({ endpoints: [member.url], tls: { ca, ...other.issue('stranger') } });
    expect(stranger).toMatchObject(kind === 'etcd' ? wanted : { code: 'timeout' });
  });

  it('connects with the files that are there after a replacement, and goes on with the last good ones until then', async () => {
    const member = await TlsMember.start(kind, trusted.issue('server'));
    const caFile = join(folder, 'ca-in-use.pem');
    const replace = (content: string): void => {
      writeFileSync(`${caFile}.new`, content);
      renameSync(`${caFile}.new`, caFile);
    };
    replace(trusted.certificate);
    const files = { caFile, reloadEvery: '1h' } as const;
    const connected = connect({ endpoints: [member.url], tls: files, requestTimeout: '30s' });
    await connected.kv.put('k', '1');
    replace('not a certificate');
    await member.restartWith(trusted.issue('server'));
    await connected.kv.put('k', '2');
    const failing = firstValueFrom(
      connected.connection$.pipe(
        filter(
          (state): state is Extract<ConnectionState, { kind: 'suspended' }> => state.kind === 'suspended',
        ),
      ),
    );
    await member.restartWith(other.issue('server'));
    await failing;
    replace(other.certificate);
    await connected.kv.put('k', '3');
    expect((await connected.kv.get('k'))?.text).toBe('3');
  });
});

describe('TLS', () => {
  it('says that none is spoken there', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    toEnd.push(async () => void (await new Promise((closed) => server.close(closed))));
    const { port } = server.address() as AddressInfo;
    const failure = await failureOf({ endpoints: [`https://127.0.0.1:${port}`] });
    expect(failure).toMatchObject({ code: 'tls', problem: 'not-tls' });
  });

  it.each(quickTargets)('gives %s up in time when it does not speak it', async (kind) => {
    const member = await MemberProcess.create(kind);
    toEnd.push(() => member.remove());
    await member.start();
    expect(await failureOf({ endpoints: [`https://${member.address}`] })).toMatchObject({
      code: 'timeout',
      // Whether the handshake is broken off, reset or left alone is up to the server and the moment.
      message: expect.stringContaining('no member could be reached in time') as string,
    });
  });
});
