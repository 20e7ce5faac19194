import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ClientWarning, createClient, type RevisionBatch } from '@conclave/client';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { hasProgram } from '../../members/member-process.js';
import { Fixture } from '../client/fixture.js';
import { hasEtcdctl, targets } from '../client/targets.js';

const folder = mkdtempSync(join(tmpdir(), 'conclave-auth-'));
const started: Fixture[] = [];
afterEach(async () => {
  for (const fixture of started.splice(0)) await fixture.end();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function start(kind: 'etcd' | 'conclave', flags: readonly string[]): Promise<Fixture> {
  const fixture = await Fixture.start(kind, { flags });
  started.push(fixture);
  return fixture;
}

function etcdctl(fixture: Fixture, ...args: string[]): string {
  const all = ['--endpoints', fixture.address, ...args];
  return execFileSync('etcdctl', all, { env: { ...process.env, ETCDCTL_API: '3' }, encoding: 'utf8' });
}

/** Users root and app; app may do what it likes under `app/`. From now on calls need a token. */
function enableAuth(fixture: Fixture): void {
  etcdctl(fixture, 'user', 'add', 'root:secret');
  etcdctl(fixture, 'user', 'grant-role', 'root', 'root');
  etcdctl(fixture, 'role', 'add', 'app');
  etcdctl(fixture, 'role', 'grant-permission', '--prefix=true', 'app', 'readwrite', 'app/');
  etcdctl(fixture, 'user', 'add', 'app:one');
  etcdctl(fixture, 'user', 'grant-role', 'app', 'app');
  etcdctl(fixture, 'auth', 'enable');
}

const asRoot = ['--user', 'root:secret'];
const auth = { username: 'app', password: 'one' };

/** Looks again and again until it is so; the limit of the test ends it otherwise. */
async function until(isSo: () => boolean | Promise<boolean>, everyMs = 20): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, everyMs));
}

async function post(
  fixture: Fixture,
  path: string,
  body: object,
  token?: string,
): Promise<Record<string, unknown>> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: token };
  const answer = await fetch(`${fixture.member.url}/v3/${path}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
  });
  return (await answer.json()) as Record<string, unknown>;
}

async function logIn(fixture: Fixture): Promise<string> {
  const { token } = await post(fixture, 'auth/authenticate', { name: 'app', password: 'one' });
  return token as string;
}

/**
 * Resolves when every token that was not used since the call has expired. Using a token prolongs it, so each look takes
 * another one of those that were issued at the beginning.
 */
async function tokensExpired(fixture: Fixture): Promise<void> {
  const witnesses = await Promise.all(Array.from({ length: 50 }, () => logIn(fixture)));
  const key = Buffer.from('app/').toString('base64');
  await until(async () => {
    const token = witnesses.pop();
    if (token === undefined) throw new Error('the tokens do not expire');
    return (await post(fixture, 'kv/range', { key }, token))['code'] === 16;
  }, 200);
}

function jwtFlags(): string {
  const [priv, pub] = [join(folder, 'jwt.key'), join(folder, 'jwt.pub')];
  execFileSync('openssl', ['genrsa', '-out', priv, '2048'], { stdio: 'ignore' });
  execFileSync('openssl', ['rsa', '-in', priv, '-pubout', '-out', pub], { stdio: 'ignore' });
  return `--auth-token=jwt,pub-key=${pub},priv-key=${priv},sign-method=RS256,ttl=10m`;
}

const quick = ['--bcrypt-cost=4'];

// Our own member has no users yet, so only etcd can show these.
describe.runIf(hasProgram('etcd') && hasEtcdctl)('authentication on etcd', () => {
  it('goes on over the expiry of its token, with a watch and a lock, and over a restart that forgets it', async () => {
    const fixture = await start('etcd', [...quick, '--auth-token-ttl=1']);
    enableAuth(fixture);
    const client = fixture.client({ auth, requestTimeout: '20s', keyPrefix: 'app/' });
    const batches: RevisionBatch[] = [];
    client.watch.events('k', { prefix: true }).subscribe((batch) => batches.push(batch));
    const seen = (): string[] =>
      batches.flatMap(({ changes }) =>
        changes.map((change) => (change.type === 'put' ? `${change.key}` : '-')),
      );
    const lock = await client.locks.mutex('m').acquire({ wait: '10s' });
    await client.kv.put('k1', '1');
    await until(() => seen().length === 1);
    await tokensExpired(fixture);
    await client.kv.put('k2', '2');
    await until(() => seen().length === 2);
    await fixture.crashAndRestart();
    await client.kv.put('k3', '3');
    await until(() => seen().length === 3);
    expect(seen()).toEqual(['k1', 'k2', 'k3']);
    lock.assertHeld();
    const guarded = await lock.guardTxn((txn) => txn).catch((error: unknown) => error);
    expect(guarded).toMatchObject({ succeeded: true });
    await lock.release();
  });

  it('a waiter for a lock gets it although its token expired while it waited', async () => {
    const fixture = await start('etcd', [...quick, '--auth-token-ttl=1']);
    enableAuth(fixture);
    const [first, second] = [0, 1].map(() => fixture.client({ auth, keyPrefix: 'app/' }));
    const held = await first?.locks.mutex('m').acquire();
    const waiting = second?.locks.mutex('m').acquire({ wait: 'forever' });
    await until(async () => (await first?.locks.mutex('m').queue())?.length === 2);
    await tokensExpired(fixture);
    await held?.release();
    const granted = await waiting;
    granted?.assertHeld();
    await granted?.release();
  });

  it('says what it may not do, at once and for ever, for calls and for watches', async () => {
    const fixture = await start('etcd', quick);
    enableAuth(fixture);
    const client = fixture.client({ auth });
    await client.kv.put('app/k', '1');
    const denied = { name: 'UnauthorizedError', code: 'unauthorized', reason: 'PermissionDenied' };
    await expect(client.kv.put('other', '1')).rejects.toMatchObject(denied);
    await expect(client.kv.get('other')).rejects.toMatchObject(denied);
    const watch = new Promise((_, reject) => {
      client.watch.events('other', { fromRevision: 1n, trackKeys: false }).subscribe({ error: reject });
    });
    await expect(watch).rejects.toMatchObject(denied);
    await client.kv.put('app/k', '2');
  });

  it('without credentials, or with wrong ones, every call says so', async () => {
    const fixture = await start('etcd', quick);
    enableAuth(fixture);
    const nobody = fixture.client();
    await expect(nobody.kv.get('app/k')).rejects.toMatchObject({
      name: 'UnauthorizedError',
      reason: 'UserEmpty',
      message: expect.stringContaining('auth') as string,
    });
    const wrong = fixture.client({ auth: { ...auth, password: 'two' } });
    for (let i = 0; i < 3; i += 1) {
      await expect(wrong.kv.put('app/k', '1')).rejects.toMatchObject({ reason: 'AuthFailed' });
    }
  });

  it('a changed password ends the access of who knows the old one, and not of who is told the new one', async () => {
    const fixture = await start('etcd', quick);
    enableAuth(fixture);
    let password = 'one';
    const told = fixture.client({ auth: { username: 'app', password: () => Promise.resolve(password) } });
    const untold = fixture.client({ auth });
    await Promise.all([told.kv.put('app/a', '1'), untold.kv.put('app/b', '1')]);
    const asked = { input: 'two\n', env: { ...process.env, ETCDCTL_API: '3' } };
    const change = [
      '--endpoints',
      fixture.address,
      ...asRoot,
      'user',
      'passwd',
      '--interactive=false',
      'app',
    ];
    execFileSync('etcdctl', change, asked);
    password = 'two';
    await told.kv.put('app/a', '2');
    await expect(untold.kv.put('app/b', '2')).rejects.toMatchObject({ reason: 'AuthFailed' });
  });

  it('takes a new signed token when the users and roles have changed', async () => {
    const fixture = await start('etcd', [...quick, jwtFlags()]);
    enableAuth(fixture);
    const client = fixture.client({ auth });
    await client.kv.put('app/k', '1');
    for (const role of ['r1', 'r2', 'r3']) {
      etcdctl(fixture, ...asRoot, 'role', 'add', role);
      const results = await Promise.all([client.kv.put('app/k', role), client.kv.get('app/k')]);
      expect(results).toHaveLength(2);
    }
    expect((await client.kv.get('app/k'))?.text).toBe('r3');
  });

  it('uses tokens that a function gives', async () => {
    const fixture = await start('etcd', [...quick, jwtFlags()]);
    enableAuth(fixture);
    let asked = 0;
    const token = (): Promise<string> => {
      asked += 1;
      return logIn(fixture);
    };
    const client = fixture.client({ auth: { token } });
    await client.kv.put('app/k', '1');
    etcdctl(fixture, ...asRoot, 'role', 'add', 'another');
    await client.kv.put('app/k', '2');
    expect(asked).toBe(2);
  });
});

describe.each(targets)('credentials for %s that asks nobody', (kind) => {
  it('are not needed, which the application is told', async () => {
    const fixture = await start(kind, []);
    const warnings: ClientWarning[] = [];
    const client = createClient({
      endpoints: [fixture.member.url],
      auth,
      onWarning: (warning) => warnings.push(warning),
    });
    await client.kv.put('k', '1');
    expect(warnings.map(({ code }) => code)).toEqual(['auth-not-enabled']);
    await client.close();
  });
});
