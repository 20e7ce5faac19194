import {
  type ConclaveClient,
  configClass,
  type ConfigOptions,
  type ClientWarning,
  type DocumentView,
  fileCache,
} from '@conclave/client';
import { decodeInstance, instanceKey } from '@conclave/config-model';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filter, firstValueFrom, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Fixture } from '../client/fixture.js';
import { quickTargets } from '../client/targets.js';
import { release } from './release.js';

interface Billing {
  max: number;
}
const Billing = configClass<Billing>({
  name: 'Billing',
  namespace: 'billing',
  properties: { max: { default: 7 } },
  validate: ({ max }) =>
    typeof max === 'number' && max < 1_000 ? { value: { max } } : { violations: [`max is ${String(max)}`] },
});

const until = <T>(values$: Observable<T>, wanted: (value: T) => boolean): Promise<T> =>
  firstValueFrom(values$.pipe(filter(wanted)));

describe.each(quickTargets)('configuration on %s', (kind) => {
  let fixture: Fixture;
  let publisher: ConclaveClient;
  let directory: string;
  let warnings: ClientWarning[];
  beforeEach(async () => {
    fixture = await Fixture.start(kind);
    publisher = fixture.client();
    directory = mkdtempSync(join(tmpdir(), 'sdk-config-'));
    warnings = [];
  });
  afterEach(async () => {
    await fixture.end();
    rmSync(directory, { recursive: true, force: true });
  });

  const onWarning = (warning: ClientWarning): void => void warnings.push(warning);
  const instance = (options: Partial<ConfigOptions> = {}): ConclaveClient =>
    fixture.client({
      config: {
        app: 'shop',
        instanceId: 'pod-1',
        cache: fileCache({ directory, onWarning }),
        environment: {},
        ...options,
      },
      onWarning,
    });

  it('follows releases, gray ones and the public documents below, and reports what it runs', async () => {
    await release(publisher, 1n, { 'base/defaults': { content: 'max: 1\nlow: 2' } });
    await release(publisher, 1n, {
      'shop/billing': { content: '{"name": "x"}', format: 'json', extends: ['base/defaults'] },
    });
    const client = instance({ labels: { zone: 'a' } });
    const ref = await client.config.ref(Billing);
    expect(ref.value).toEqual({ max: 1 });
    const view = await firstValueFrom(client.config.document$('billing'));
    expect(view).toMatchObject({ release: '1', tree: { max: 1, low: 2, name: 'x' } });
    const changed = firstValueFrom(ref.changes$);
    await release(publisher, 2n, {
      'shop/billing': { content: 'max: 5', gray: { rule: 'canary', match: { labels: { zone: ['a'] } } } },
    });
    expect(await changed).toMatchObject({ previous: { max: 1 }, current: { max: 5 }, changedKeys: ['max'] });
    const key = instanceKey({ env: 'dev', app: 'shop', instance: 'pod-1' });
    const reports$ = publisher.watch.state(key, {
      codec: { decode: (bytes) => decodeInstance(Buffer.from(bytes).toString()) },
    });
    const reported = await until(
      reports$,
      (state) => state.entries.get(key)?.value.namespaces.get('shop/billing')?.release === 2n,
    );
    expect(reported.entries.get(key)?.value.namespaces.get('shop/billing')).toMatchObject({
      state: 'applied',
      gray: 'canary',
    });
    await client.close();
    expect(await publisher.kv.get(key)).toBeNull();
    expect(warnings).toEqual([]);
  });

  it('shows releases of several namespaces in one piece, also when their documents are too long to stand in one transaction', async () => {
    const names = ['shop/a', 'shop/b', 'shop/c'];
    const drafts = (version: number, length: number) =>
      Object.fromEntries(
        names.map((name) => [name, { content: `v: ${version}\n# ${'x'.repeat(length)}\n` }]),
      );
    await release(publisher, 1n, drafts(1, 10));
    const client = instance({ cache: false });
    for (const name of ['a', 'b', 'c']) client.config.document$(name).subscribe();
    const torn: unknown[] = [];
    const versions: unknown[] = [];
    const snapshots$ = client.config.snapshot$();
    const look = (views: ReadonlyMap<string, DocumentView>): void => {
      const seen = [...views.values()].map((view) => view.tree['v']);
      versions.push(seen[0]);
      if (seen.length !== 3 || seen.some((version) => version !== seen[0])) torn.push(seen);
    };
    snapshots$.subscribe(look);
    await until(snapshots$, (views) => views.size === 3);
    for (let version = 2; version <= 30; version += 1) {
      await release(publisher, BigInt(version), drafts(version, version % 5 === 0 ? 400_000 : 10));
    }
    await until(snapshots$, (views) => views.get('a')?.tree['v'] === 30);
    expect(torn).toEqual([]);
    expect(versions).toEqual([...new Set(versions)]);
  });

  it('starts from the cache while the store is down, and is live again when it is back', async () => {
    await release(publisher, 1n, { 'shop/billing': { content: 'max: 1' } });
    const first = instance();
    await first.config.ref(Billing);
    await first.close();
    expect(readdirSync(directory)).toEqual(['config+dev+shop.cache']);
    await fixture.member.stop('SIGKILL');
    const client = instance({ start: { timeout: '300ms' } });
    const ref = await client.config.ref(Billing);
    expect(ref.value).toEqual({ max: 1 });
    expect(ref.freshness.kind).toBe('cached');
    await expect(
      instance({ app: 'other', start: { timeout: '300ms' } }).config.ref(Billing),
    ).rejects.toMatchObject({ code: 'config-unavailable' });
    await fixture.member.start();
    const changed = firstValueFrom(ref.changes$);
    await release(publisher, 2n, { 'shop/billing': { content: 'max: 2' } });
    expect((await changed).current).toEqual({ max: 2 });
    expect(ref.freshness.kind).toBe('live');
  });

  it('keeps the last good value over an invalid release, a crash and a compaction', async () => {
    await release(publisher, 1n, { 'shop/billing': { content: 'max: 1' } });
    const client = instance();
    const ref = await client.config.ref(Billing);
    await release(publisher, 2n, { 'shop/billing': { content: 'max: 5000' } });
    await until(client.config.status$, (all) => all.get('billing')?.state === 'rejected');
    expect(ref.value).toEqual({ max: 1 });
    const changed = firstValueFrom(ref.changes$);
    await fixture.crashAndRestart();
    const revision = await release(publisher, 3n, { 'shop/billing': { content: 'max: 3' } });
    await publisher.kv.compact(revision);
    expect((await changed).current).toEqual({ max: 3 });
    await until(client.config.status$, (all) => all.get('billing')?.state === 'applied');
  });

  it('an operator pins a document by hand', async () => {
    await release(publisher, 1n, { 'shop/billing': { content: 'max: 1' } });
    const entries = { billing: { format: 'json', content: { max: 500 } } };
    writeFileSync(join(directory, 'config+dev+shop.pinned.json'), JSON.stringify({ version: 1, entries }));
    const ref = await instance().config.ref(Billing);
    expect(ref.value).toEqual({ max: 500 });
    expect(ref.freshness).toMatchObject({ kind: 'pinned' });
  });
});
