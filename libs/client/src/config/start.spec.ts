import { currentKey } from '@conclave/config-model';
import { type etcdserverpb as pb } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { UnauthorizedError } from '../errors.js';
import { outcomeOf } from '../testing/outcome.js';
import { configClass } from './config-class.js';
import { type ConfigOptions } from './config-options.js';
import { type DocumentView } from './document-view.js';
import { FakeCenter } from './testing/fake-center.js';

interface Billing {
  max: number;
}

const billing = configClass<Billing>({
  name: 'Billing',
  namespace: 'billing',
  properties: { max: { default: 7 } },
  validate: (values) => ({ value: values as unknown as Billing }),
});

/** A center whose configuration an earlier run of the instance has cached. */
async function centerWithCache(): Promise<FakeCenter> {
  const center = new FakeCenter();
  center.publish({ billing: { content: 'max: 1' } });
  const client = center.client();
  await client.config.ref(billing);
  await center.clock.advance(1_000);
  await client.close();
  return center;
}

async function startedWith(
  center: FakeCenter,
  start: ConfigOptions['start'],
  options: Partial<ConfigOptions> = {},
) {
  const client = center.client({ start, ...options });
  const outcome = outcomeOf(client.config.ref(billing));
  await center.clock.advance(4_999);
  expect(outcome.settled).toBe(false);
  await center.clock.advance(1);
  return { client, outcome };
}

describe('a start without the store', () => {
  it('takes the cache after the time to wait, and the store as soon as it is back', async () => {
    const center = await centerWithCache();
    center.store.partition();
    const { client, outcome } = await startedWith(center, {});
    expect(outcome.value?.value).toEqual({ max: 1 });
    expect(outcome.value?.freshness).toMatchObject({ kind: 'cached' });
    const views: DocumentView[] = [];
    client.config.document$('billing').subscribe((view) => views.push(view));
    expect(views[0]?.origins.get('max')).toEqual({ source: 'cache', namespace: 'shop/billing' });
    center.publish({ billing: { content: 'max: 2' } });
    center.store.heal();
    await center.clock.advance(5_000);
    expect(outcome.value?.value).toEqual({ max: 2 });
    expect(outcome.value?.freshness).toEqual({ kind: 'live' });
    expect(views.map((view) => view.freshness.kind)).toEqual(['cached', 'live']);
  });

  it('fails with require-live, and without a cache, and says why', async () => {
    const center = await centerWithCache();
    center.store.partition();
    const { outcome } = await startedWith(center, { mode: 'require-live' });
    expect(outcome.error).toMatchObject({ code: 'config-unavailable' });
    expect(outcome.error?.message).toContain("'billing' could not be read within 5000 ms");
    expect(outcome.error?.message).toContain('start.mode is require-live');
    const without = await startedWith(center, {}, { cache: false });
    expect(without.outcome.error?.message).toContain('there is no cache');
    const other = await startedWith(center, {}, { app: 'other' });
    expect(other.outcome.error?.message).toContain('the cache does not have it');
  });

  it('with defaults takes the values of the module and the class when there is nothing else', async () => {
    const center = new FakeCenter();
    center.store.partition();
    const { outcome } = await startedWith(center, { mode: 'defaults' });
    expect(outcome.value?.value).toEqual({ max: 7 });
    expect(outcome.value?.freshness.kind).toBe('stale');
    const module = await startedWith(center, { mode: 'defaults' }, { moduleValues: () => 5 });
    expect(module.outcome.value?.value).toEqual({ max: 5 });
    center.publish({ billing: { content: 'max: 2' } });
    center.store.heal();
    await center.clock.advance(5_000);
    expect(outcome.value?.value).toEqual({ max: 2 });
  });

  it('does not wait when the store says no and nothing else is allowed', async () => {
    const center = new FakeCenter();
    const client = center.client({ start: { mode: 'require-live' } });
    const outcome = outcomeOf(client.config.ref(billing));
    await center.clock.settle();
    center.store.cutStreams(new UnauthorizedError('permission denied'));
    await center.clock.settle();
    expect(outcome.value?.value).toEqual({ max: 7 });
    expect(outcome.value?.freshness).toMatchObject({ kind: 'stale', error: { code: 'unauthorized' } });
    center.publish({ billing: { content: 'max: 2' } });
    await center.clock.advance(30_000);
    expect(outcome.value?.value).toEqual({ max: 2 });
  });

  it('P26 P31 a cache of another cluster is refused as soon as it is known', async () => {
    const center = await centerWithCache();
    center.store.replaceStore();
    const client = center.client();
    const ref = await client.config.ref(billing);
    expect(ref.value).toEqual({ max: 7 });
    await center.clock.advance(1_000);
    expect(center.warnings.map((warning) => warning.message)).toEqual([
      'the cached configuration is of cluster 1001, this is 1002: it is not used',
    ]);
    expect(center.cache.states.get('config/dev/shop')).toMatchObject({ clusterId: 0x1002n, entries: [] });
  });

  it('P26 the cache never wins over what the store said, even when the store is gone again', async () => {
    const center = await centerWithCache();
    center.publish({ billing: { content: 'max: 2' } });
    const client = center.client();
    const ref = await client.config.ref(billing);
    center.store.partition();
    center.store.cutStreams();
    await center.clock.advance(60_000);
    expect(ref.value).toEqual({ max: 2 });
    expect(ref.freshness.kind).toBe('stale');
  });

  it('P31 what was deleted is not in the cache any more; what this run did not ask for stays', async () => {
    const center = await centerWithCache();
    center.publish({ other: { content: 'x: 1' } });
    const client = center.client();
    client.config.document$('other').subscribe();
    await center.clock.advance(1_000);
    const keys = (): string[] =>
      center.cache.states.get('config/dev/shop')?.entries.map((entry) => entry.key) ?? [];
    const billingKey = currentKey({ env: 'dev', app: 'shop', namespace: 'billing' });
    const otherKey = currentKey({ env: 'dev', app: 'shop', namespace: 'other' });
    expect(keys().sort()).toEqual([billingKey, otherKey]);
    center.remove(otherKey);
    await center.clock.advance(1_000);
    expect(keys()).toEqual([billingKey]);
  });

  it('P31 a process that ends at once leaves its configuration in the cache', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'max: 1' } });
    const isIdentification = (request: unknown): boolean => (request as pb.RangeRequest).count_only;
    const answer = center.store.holdAnswer('range', isIdentification);
    const client = center.client();
    await client.config.ref(billing);
    const closing = client.close();
    await center.clock.settle();
    answer();
    await closing;
    expect(center.cache.states.get('config/dev/shop')?.entries).toHaveLength(1);
    expect(center.clock.timers).toBe(0);
  });

  it('P31 the cache never holds halves of two releases', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'max: 1' }, other: { content: 'max: 1' } });
    const first = center.client();
    await first.config.ref(billing);
    first.config.document$('other').subscribe();
    await center.clock.advance(1_000);
    await first.close();
    center.publish({ billing: { content: 'max: 2' }, other: { content: 'max: 2' } });
    const second = center.client();
    await second.config.ref(billing);
    await center.clock.advance(1_000);
    const keys = center.cache.states.get('config/dev/shop')?.entries.map((entry) => entry.key);
    expect(keys).toEqual([currentKey({ env: 'dev', app: 'shop', namespace: 'billing' })]);
  });

  it('keeps documents by reference and those that are extended in the cache', async () => {
    const center = new FakeCenter();
    center.publish({ 'base/defaults': { content: 'max: 5\nlow: 1' } });
    center.publish({ billing: { content: 'max: 6', extends: ['base/defaults'], byReference: true } });
    const first = center.client();
    await first.config.ref(billing);
    await center.clock.advance(1_000);
    await first.close();
    center.store.partition();
    const client = center.client();
    const views: DocumentView[] = [];
    client.config.document$('billing').subscribe((view) => views.push(view));
    await center.clock.advance(5_000);
    expect(views.map((view) => view.tree)).toEqual([{ max: 6, low: 1 }]);
  });

  it('P30 a cache that cannot be read or written is a warning', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'max: 1' } });
    const fail = () => Promise.reject(new Error('disk on fire'));
    const ref = await center.client({ cache: { load: fail, save: fail } }).config.ref(billing);
    await center.clock.advance(1_000);
    expect(ref.value).toEqual({ max: 1 });
    expect(center.warnings.map((warning) => warning.code)).toEqual(['cache-unusable', 'cache-not-written']);
  });
});

describe('a pinned document', () => {
  it('wins over the store while it is there', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'max: 1' } });
    const entries = new Map<string, unknown>([['billing', { format: 'json', content: { max: 100 } }]]);
    center.cache.pinnedState = { source: '/pinned.json', entries };
    const client = center.client();
    const ref = await client.config.ref(billing);
    expect(ref.value).toEqual({ max: 100 });
    expect(ref.freshness).toEqual({ kind: 'pinned', source: '/pinned.json' });
    center.cache.pinnedState = {
      source: '/pinned.json',
      entries: new Map([['billing', { format: 'yaml', content: 'max: [' }]]),
    };
    await center.clock.advance(5_000);
    expect(ref.value).toEqual({ max: 100 });
    expect(center.warnings[0]?.message).toContain('the pinned configuration is not used');
    center.cache.pinnedState = undefined;
    await center.clock.advance(5_000);
    expect(ref.value).toEqual({ max: 1 });
    expect(ref.freshness).toEqual({ kind: 'live' });
  });

  it('is enough to start with, without the store and without waiting', async () => {
    const center = new FakeCenter();
    center.store.partition();
    const entries = new Map<string, unknown>([['billing', { format: 'properties', content: 'max=3' }]]);
    center.cache.pinnedState = { source: '/pinned.json', entries };
    const ref = await center.client({ start: { mode: 'require-live' } }).config.ref(billing);
    expect(ref.value).toEqual({ max: '3' });
  });
});
