import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createClient } from '../client.js';
import { type ClientWarning } from '../host.js';
import { outcomeOf } from '../testing/outcome.js';
import { VirtualClock } from '../testing/virtual-clock.js';
import { type TlsFiles } from './tls-options.js';
import { tlsSource } from './tls-source.js';

const folder = mkdtempSync(join(tmpdir(), 'conclave-tls-'));
const pairs: Record<'one' | 'two', { cert: Buffer; key: Buffer }> = {
  one: { cert: Buffer.of(), key: Buffer.of() },
  two: { cert: Buffer.of(), key: Buffer.of() },
};

beforeAll(() => {
  for (const name of ['one', 'two'] as const) {
    const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const args = ['req', '-x509', ...kind, '-subj', `/CN=${name}`, '-keyout', key, '-out', cert];
    execFileSync('openssl', args, { stdio: 'ignore' });
    pairs[name] = { cert: readFileSync(cert), key: readFileSync(key) };
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

function world(options: Partial<TlsFiles> = {}) {
  const clock = new VirtualClock();
  const warnings: ClientWarning[] = [];
  const files = new Map<string, Uint8Array>([
    ['cert', pairs.one.cert],
    ['key', pairs.one.key],
  ]);
  let reads = 0;
  const source = tlsSource(
    { certFile: 'cert', keyFile: 'key', ...options },
    {
      clock,
      warn: (warning) => warnings.push(warning),
      readFile: (path) => {
        reads += 1;
        const content = files.get(path);
        return content === undefined
          ? Promise.reject(new Error('ENOENT: no such file'))
          : Promise.resolve(content);
      },
    },
  );
  return { clock, warnings, files, source, reads: () => reads };
}

describe('certificate files', () => {
  it('are read for each connection, so that those made after a change use the new ones', async () => {
    const { source, files, warnings } = world({ serverName: 'store' });
    expect(await source.next()).toEqual({ ...pairs.one, serverName: 'store' });
    files.set('cert', pairs.two.cert).set('key', pairs.two.key);
    expect(await source.next()).toEqual({ ...pairs.two, serverName: 'store' });
    expect(warnings).toEqual([]);
    source.stop();
  });

  it('are looked at every reloadEvery while nobody connects, and not after stop', async () => {
    const { clock, source, reads } = world({ reloadEvery: '30s' });
    await source.next();
    await clock.advance(29_000);
    expect(reads()).toBe(2);
    await clock.advance(1_000);
    expect(reads()).toBe(4);
    source.stop();
    await clock.advance(100_000);
    expect(reads()).toBe(4);
    expect(clock.timers).toBe(0);
  });

  it('leave the last good ones in use when they break, with one warning until they are good again', async () => {
    const { clock, source, files, warnings } = world();
    await source.next();
    files.set('cert', pairs.one.cert.subarray(0, 100));
    await clock.advance(180_000);
    expect(await source.next()).toEqual(pairs.one);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ code: 'tls-files-unusable' });
    expect(warnings[0]?.message).toContain('last good');
    files.set('cert', pairs.two.cert).set('key', pairs.two.key);
    expect(await source.next()).toEqual(pairs.two);
    files.delete('key');
    await clock.advance(61_000);
    await clock.advance(1_000);
    expect(await source.next()).toEqual(pairs.two);
    expect(warnings).toHaveLength(2);
    expect(warnings[1]?.message).toContain('keyFile: key cannot be read');
    source.stop();
  });

  it('half a replacement is used by nobody, and no reason for a warning', async () => {
    const { clock, source, files, warnings } = world();
    await source.next();
    files.set('cert', pairs.two.cert);
    expect(await source.next()).toEqual(pairs.one);
    files.set('key', pairs.two.key);
    await clock.advance(1_000);
    expect(await source.next()).toEqual(pairs.two);
    expect(warnings).toEqual([]);
    source.stop();
  });

  it('are waited for when there never were good ones: connecting fails with what is wrong, and goes on', async () => {
    const { source, files } = world();
    files.delete('cert');
    files.delete('key');
    await expect(source.next()).rejects.toMatchObject({
      code: 'tls',
      problem: 'files',
      message: expect.stringMatching(/certFile: cert .*; keyFile: key /) as string,
    });
    files.set('cert', pairs.one.cert).set('key', pairs.one.key);
    expect(await source.next()).toEqual(pairs.one);
    source.stop();
  });

  it('a client without usable files says so in the error of its calls', async () => {
    const clock = new VirtualClock();
    const warnings: ClientWarning[] = [];
    const client = createClient({
      endpoints: ['https://127.0.0.1:1'],
      clock,
      tls: { caFile: join(folder, 'missing.pem') },
      requestTimeout: '1h',
      onWarning: (warning) => warnings.push(warning),
    });
    const get = outcomeOf(client.kv.get('k'));
    // The files are looked for on the real disk, whose time the clock does not know: only once it has answered twice,
    // which is when the client warns, may the time of the call run out.
    await vi.waitFor(
      async () => {
        await clock.advance(100);
        expect(warnings.length).toBeGreaterThan(0);
      },
      { timeout: 30_000, interval: 5 },
    );
    expect(get.settled).toBe(false);
    for (let i = 0; i < 40 && !get.settled; i += 1) await clock.advance(100_000);
    expect(get.error).toMatchObject({ name: 'TlsError', code: 'tls', problem: 'files' });
    expect(get.error?.message).toContain('missing.pem');
    await client.close();
  });
});

describe('TLS options', () => {
  it.each([
    [{ ca: 'x', caFile: 'y' }, 'give either files'],
    [{ certFile: 'x' }, 'certFile and keyFile: give both'],
    [{ ca: 'no pem' }, 'ca is no PEM'],
    [{ caFile: 'x', reloadEvery: 0 }, 'tls.reloadEvery'],
  ])('refuses %j', (tls, message) => {
    expect(() => createClient({ endpoints: ['a'], tls })).toThrow(message);
  });

  it('refuses certificates of which no connection would make use', () => {
    const tls = { ca: pairs.one.cert };
    expect(() => createClient({ endpoints: ['http://a', 'http://b'], tls })).toThrow(
      'no endpoint is encrypted',
    );
    expect(() => createClient({ endpoints: [], tls })).toThrow('at least one address');
  });

  it('refuses a key of another certificate', () => {
    const tls = { cert: pairs.one.cert, key: pairs.two.key };
    expect(() => createClient({ endpoints: ['a'], tls })).toThrow(/tls: .*key values mismatch/);
  });
});
