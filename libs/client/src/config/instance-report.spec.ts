import { decodeInstance, type InstanceRow, instanceKey } from '@conclave/config-model';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sdkVersion } from './sdk-version.js';
import { FakeCenter } from './testing/fake-center.js';

const key = instanceKey({ env: 'dev', app: 'shop', instance: 'pod-1' });

async function reported(center: FakeCenter): Promise<InstanceRow | undefined> {
  const entry = await center.world.client().kv.get(key);
  return entry === null ? undefined : decodeInstance(entry.text);
}

describe('the report of an instance', () => {
  it('names the release that is applied, at a key of its own lease, and why another is not', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'a: 1' } });
    const client = center.client({ report: true, labels: { zone: 'a' } });
    client.config.document$('billing').subscribe();
    await center.clock.advance(1_000);
    expect(await reported(center)).toMatchObject({
      sdk: sdkVersion,
      labels: { zone: 'a' },
      address: '10.0.0.1',
      namespaces: new Map([
        ['shop/billing', { state: 'applied', release: 1n, sha256: expect.any(String) as string }],
      ]),
    });
    const entry = await center.world.client().kv.get(key);
    expect(center.store.liveLeases).toContain(entry?.lease);
    center.publish({ billing: { content: 'a: [' } });
    await center.clock.advance(1_000);
    const row = await reported(center);
    expect(row?.namespaces.get('shop/billing')).toMatchObject({ state: 'rejected', release: 2n });
    expect(row?.namespaces.get('shop/billing')?.error).toContain('line 1');
  });

  it('is one write for many changes, and none when nothing changed', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'a: 1' } });
    center.client({ report: true }).config.document$('billing').subscribe();
    await center.clock.advance(2_000);
    const puts = (): number => center.store.calls.filter((method) => method === 'put').length;
    expect(puts()).toBe(1);
    for (let i = 0; i < 20; i += 1) {
      center.publish({ billing: { content: `a: ${i}` } });
      await center.clock.settle();
    }
    await center.clock.advance(5_000);
    expect(puts()).toBe(2);
    expect((await reported(center))?.namespaces.get('shop/billing')?.release).toBe(21n);
  });

  it('comes back after its lease was lost, and after the store did not answer', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'a: 1' } });
    const client = center.client({ report: true });
    client.config.document$('billing').subscribe();
    await center.clock.advance(2_000);
    center.store.expireLease(center.store.liveLeases[0] ?? 0n);
    expect(await reported(center)).toBeUndefined();
    await center.clock.advance(10_000);
    expect((await reported(center))?.namespaces.size).toBe(1);
    center.store.dropAnswers('put');
    center.publish({ billing: { content: 'a: 2' } });
    await center.clock.advance(10_000);
    expect((await reported(center))?.namespaces.get('shop/billing')?.release).toBe(2n);
    await client.close();
    expect(await reported(center)).toBeUndefined();
    expect(center.store.liveLeases).toEqual([]);
  });

  it('carries the version of the package', () => {
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    expect((JSON.parse(text) as { version: string }).version).toBe(sdkVersion);
  });
});
