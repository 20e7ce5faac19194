import { describe, expect, it } from 'vitest';
import { configClass } from './config-class.js';
import { type DocumentView, type NamespaceStatus } from './document-view.js';
import { sealSecret } from './secret-keys.js';
import { FakeCenter } from './testing/fake-center.js';

const key = Buffer.alloc(32, 7);
const secretKeys = { k1: key };
const billing = { env: 'dev', app: 'shop', namespace: 'billing' };
const sealed = (text: string, path: string, id = billing, keyId = 'k1'): string =>
  sealSecret(keyId, key, { id, path }, text);

function watch(center: FakeCenter, options: Parameters<FakeCenter['client']>[0] = { secretKeys }) {
  const client = center.client(options);
  const views: DocumentView[] = [];
  let statuses: ReadonlyMap<string, NamespaceStatus> = new Map();
  client.config.document$('billing').subscribe((view) => views.push(view));
  client.config.status$.subscribe((status) => (statuses = status));
  return { client, views, status: () => statuses.get('billing') };
}

describe('sealed values', () => {
  it('are in clear in the values and in the tree, and nowhere else', async () => {
    const center = new FakeCenter();
    const content = `db: { user: app, password: "${sealed('hunter2', 'db.password')}" }\nkeys: ["a", "${sealed('second', 'keys')}"]`;
    center.publish({ billing: { content } });
    const { views, client } = watch(center);
    await center.clock.advance(1_000);
    const [view] = views;
    expect(view?.tree).toEqual({ db: { user: 'app', password: 'hunter2' }, keys: ['a', 'second'] });
    expect(view?.values.get('db.password')).toBe('hunter2');
    expect(view?.origins.get('db.password')).toMatchObject({ source: 'server', secret: true });
    expect(view?.origins.get('db.user')).not.toHaveProperty('secret');
    expect(view?.text).toBe(content);
    await client.close();
    const cached = [...center.cache.states.values()].flatMap((state) => state.entries);
    expect(cached).not.toHaveLength(0);
    for (const { value } of cached) expect(Buffer.from(value).toString()).not.toContain('hunter2');
  });

  it('open in every format, and where a public namespace gives them', async () => {
    const center = new FakeCenter();
    const base = { env: 'dev', app: 'base', namespace: 'defaults' };
    center.publish({
      'base/defaults': { content: `token=${sealed('of base', 'token', base)}`, format: 'properties' },
    });
    center.publish({
      billing: {
        content: `db.password=${sealed('hunter2', 'db.password')}`,
        format: 'properties',
        extends: ['base/defaults'],
      },
      plain: { content: sealed('whole text', '', { ...billing, namespace: 'plain' }), format: 'text' },
    });
    const { views, client } = watch(center);
    const plain: DocumentView[] = [];
    client.config.document$('plain').subscribe((view) => plain.push(view));
    await center.clock.advance(1_000);
    expect(views.at(-1)?.tree).toEqual({ token: 'of base', db: { password: 'hunter2' } });
    expect(views.at(-1)?.text).not.toContain('hunter2');
    expect(plain[0]?.values.get('')).toBe('whole text');
    await client.close();
  });

  it.each([
    [
      'another key',
      () => sealSecret('k1', Buffer.alloc(32, 8), { id: billing, path: 'p' }, 'x'),
      /does not open it/,
    ],
    [
      'a missing key',
      () => sealed('x', 'p', billing, 'k9'),
      /key 'k9', which config.secretKeys does not have/,
    ],
    ['another path', () => sealed('x', 'q'), /for another place/],
    ['another namespace', () => sealed('x', 'p', { ...billing, namespace: 'other' }), /for another place/],
    ['another environment', () => sealed('x', 'p', { ...billing, env: 'prod' }), /for another place/],
    ['damage', () => `${sealed('x', 'p').slice(0, -2)}AA`, /does not open it/],
    ['a newer format', () => 'enc:v2:k1:AAAA', /upgrade it/],
  ])('refuse a release with %s, tell why, and keep the last good one', async (_name, value, reason) => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'p: good' } });
    const { views, status, client } = watch(center);
    await center.clock.advance(1_000);
    center.publish({ billing: { content: `p: "${value()}"\nother: 2` } });
    await center.clock.advance(1_000);
    expect(views.map((view) => view.tree)).toEqual([{ p: 'good' }]);
    expect(status()).toMatchObject({ state: 'rejected', release: '1' });
    expect(status()?.error).toMatch(reason);
    expect(status()?.error).toContain("'p' cannot be opened");
    expect(center.warnings).toMatchObject([{ code: 'release-rejected', namespace: 'billing' }]);
    center.publish({ billing: { content: `p: "${sealed('better', 'p')}"` } });
    await center.clock.advance(1_000);
    expect(views.at(-1)?.tree).toEqual({ p: 'better' });
    expect(status()).toMatchObject({ state: 'applied', release: '3' });
    await client.close();
  });

  it('start from the cache when the newest release cannot be opened', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: `p: "${sealed('good', 'p')}"` } });
    const first = watch(center);
    await center.clock.advance(1_000);
    await first.client.close();
    center.publish({ billing: { content: `p: "${sealed('newer', 'p', billing, 'k2')}"` } });
    const { views, status, client } = watch(center);
    await center.clock.advance(1_000);
    expect(views.map((view) => view.tree)).toEqual([{ p: 'good' }]);
    expect(status()).toMatchObject({ state: 'rejected', release: '1' });
    await client.close();
    const strict = watch(center, { secretKeys, start: { mode: 'require-live' } });
    await center.clock.advance(10_000);
    expect(strict.views).toEqual([]);
    await strict.client.close();
  });

  it('stand in no message about the class that refuses them', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: `p: "${sealed('good', 'p')}"` } });
    const client = center.client({ secretKeys, report: true });
    const Billing = configClass<{ p: string }>({
      name: 'Billing',
      namespace: 'billing',
      validate: ({ p }) =>
        p === 'good' ? { value: { p } } : { violations: [`p: '${String(p)}' is not what it should be`] },
    });
    const starting = client.config.ref(Billing);
    await center.clock.advance(1_000);
    const ref = await starting;
    center.publish({ billing: { content: `p: "${sealed('hunter2', 'p')}"` } });
    await center.clock.advance(10_000);
    expect(ref.value.p).toBe('good');
    expect(center.warnings[0]?.message).toContain("p: '[secret]' is not what it should be");
    const everything = [...center.store.keys(), ...center.warnings.map(({ message }) => message)].join();
    expect(everything).not.toContain('hunter2');
    await client.close();
  });

  it('tells of every key that is none, before anything is read', () => {
    const center = new FakeCenter();
    const make = () => center.client({ secretKeys: { 'a b': key, short: Buffer.alloc(16) } });
    expect(make).toThrow("config.secretKeys: 'a b' is no id of a key");
    expect(make).toThrow("'short' is not a Uint8Array of 32 bytes");
  });

  it('text that only looks sealed is text', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'p: "enc:on"' } });
    const { views, client } = watch(center, {});
    await center.clock.advance(1_000);
    expect(views[0]?.tree).toEqual({ p: 'enc:on' });
    await client.close();
  });
});
