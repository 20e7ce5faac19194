import { currentKey, grayKey, namespacePrefix } from '@conclave/config-model';
import { type etcdserverpb as pb } from '@conclave/protocol';
import { describe, expect, it, vi } from 'vitest';
import { type DocumentView, type NamespaceStatus } from './document-view.js';
import { loseEvents } from '../testing/lost-events.js';
import { FakeCenter } from './testing/fake-center.js';

const billing = { env: 'dev', app: 'shop', namespace: 'billing' };
const tell = (view: DocumentView): string => `${view.release}@${view.revision} ${JSON.stringify(view.tree)}`;

function watching(center: FakeCenter, namespace: string, client = center.client()) {
  const seen: string[] = [];
  client.config.document$(namespace).subscribe((view) => seen.push(tell(view)));
  return seen;
}

describe('documents', () => {
  it('P32 the newest comes first, then each release, once', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'a: 1' } });
    const client = center.client();
    const seen = watching(center, 'billing', client);
    await center.clock.settle();
    center.publish({ billing: { content: 'a: 2' } });
    await center.clock.settle();
    center.store.cutStreams();
    await center.clock.advance(1_000);
    center.publish({ billing: { content: 'a: 3' } });
    await center.clock.settle();
    const releases = seen.map((line) => line.slice(0, 1));
    expect([...new Set(releases)]).toEqual(['1', '2', '3']);
    expect(seen.at(-1)).toBe('3@4 {"a":3}');
    const late: string[] = [];
    client.config.document$('billing').subscribe((view) => late.push(tell(view)));
    expect(late).toEqual(['3@4 {"a":3}']);
    expect(center.store.watchers).toHaveLength(1);
  });

  it('finds a release that a server did not tell of', async () => {
    const center = new FakeCenter();
    const lost = new Set<string>();
    loseEvents(center.store, lost);
    center.publish({ billing: { content: 'a: 1' } });
    const seen = watching(center, 'billing');
    await center.clock.settle();
    lost.add(currentKey(billing));
    center.publish({ billing: { content: 'a: 2' } });
    await center.clock.settle();
    // What is told later is told of: only the audit can find what was lost before.
    const nobody = { rule: 'nobody', match: { instances: ['none'] } };
    center.publish({ billing: { content: 'a: 3', gray: nobody } });
    await center.clock.advance(300_000);
    expect(seen).toEqual(['1@2 {"a":1}']);
    await center.clock.advance(400_000);
    expect(seen).toEqual(['1@2 {"a":1}', '2@3 {"a":2}']);
    expect(center.warnings).toMatchObject([{ code: 'watch-lost-change', keys: 1 }]);
  });

  it('a namespace without a release is empty, and says so', async () => {
    const center = new FakeCenter();
    const client = center.client();
    const views: DocumentView[] = [];
    client.config.document$('billing').subscribe((view) => views.push(view));
    await center.clock.settle();
    expect(views).toMatchObject([{ exists: false, release: '', freshness: { kind: 'live' } }]);
    center.publish({ billing: { content: 'a: 1' } });
    await center.clock.settle();
    center.remove(currentKey(billing));
    await center.clock.settle();
    expect(views.map((view) => view.exists)).toEqual([false, true, false]);
  });

  it('lays a document over the public ones that it extends, and follows each of them', async () => {
    const center = new FakeCenter();
    center.publish({ 'base/defaults': { content: 'retry: { max: 3, wait: 5 }\nname: base' } });
    center.publish({ 'base/more': { content: '{"retry": {"wait": 6}}', format: 'json' } });
    center.publish({
      billing: { content: 'name: billing', extends: ['base/defaults', 'base/more', 'base/absent'] },
    });
    const views: DocumentView[] = [];
    const client = center.client();
    client.config.document$('billing').subscribe((view) => views.push(view));
    await center.clock.settle();
    expect(views.map(tell)).toEqual(['3@4 {"retry":{"max":3,"wait":6},"name":"billing"}']);
    expect(Object.fromEntries(views[0]?.origins ?? [])).toEqual({
      'retry.max': { source: 'server', namespace: 'base/defaults' },
      'retry.wait': { source: 'server', namespace: 'base/more' },
      name: { source: 'server', namespace: 'shop/billing' },
    });
    expect(views[0]?.text).toBe('retry:\n  max: 3\n  wait: 6\nname: billing\n');
    center.publish({ 'base/defaults': { content: 'retry: { max: 9 }' } });
    await center.clock.settle();
    expect(views.map(tell).at(-1)).toBe('3@5 {"retry":{"max":9,"wait":6},"name":"billing"}');
  });

  it('a gray release is for those whom its rule matches, until it is taken away', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'a: 1' } });
    const gray = { rule: 'canary', match: { labels: { zone: ['a'] } } };
    center.publish({ billing: { content: 'a: 2', gray } });
    const inA = watching(center, 'billing', center.client({ labels: { zone: 'a' } }));
    const inB = watching(center, 'billing', center.client({ labels: { zone: 'b' } }));
    await center.clock.settle();
    expect([inA, inB]).toEqual([['2@3 {"a":2}'], ['1@2 {"a":1}']]);
    center.remove(grayKey(billing, 'canary'));
    await center.clock.settle();
    expect([inA.at(-1), inB]).toEqual(['1@2 {"a":1}', ['1@2 {"a":1}']]);
  });

  it('a gray rule that cannot be read matches nobody, and is told', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'a: 1' } });
    center.store.putKey(grayKey(billing, 'new'), '{"version":1,"priority":1,"match":{"regex":"x"}}');
    const seen = watching(center, 'billing');
    await center.clock.settle();
    expect(seen).toEqual(['1@2 {"a":1}']);
    expect(center.warnings[0]?.message).toContain("the condition 'regex' is not known");
  });

  it('reads a document that stands in its release by reference, and waits for it through an outage', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'a: 1', byReference: true } });
    const seen = watching(center, 'billing');
    await center.clock.settle();
    expect(seen).toEqual(['1@2 {"a":1}']);
    center.store.refuse('range', 2);
    center.publish({ billing: { content: 'a: 2', byReference: true } });
    await center.clock.settle();
    expect(seen.at(-1)).toBe('1@2 {"a":1}');
    await center.clock.advance(2_000);
    expect(seen.at(-1)).toBe('2@3 {"a":2}');
  });

  it('P30 a release that cannot be read leaves the last good one in force, and the status says why', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'a: 1' } });
    const client = center.client();
    const seen = watching(center, 'billing', client);
    const statuses: NamespaceStatus[] = [];
    client.config.status$.subscribe((all) => statuses.push(...all.values()));
    await center.clock.settle();
    for (const draft of [
      { content: 'a: 1\na: 2' },
      { content: 'a: 3', sha256: '0'.repeat(64) },
      { content: 'x', extends: ['base/none'], format: 'text' as const },
    ]) {
      center.publish({ billing: draft });
      await center.clock.settle();
    }
    center.store.putKey(currentKey(billing), '{"version":2}');
    await center.clock.settle();
    expect(seen.filter((line) => !line.startsWith('4'))).toEqual(['1@2 {"a":1}']);
    const errors = statuses.filter((status) => status.state === 'rejected').map((status) => status.error);
    expect(errors[0]).toBe('line 2, column 1: Map keys must be unique');
    expect(errors[1]).toContain('has the checksum');
    expect(errors.at(-1)).toContain('upgrade @conclave/client');
    expect(center.warnings.length).toBeGreaterThanOrEqual(3);
    center.publish({ billing: { content: 'a: 5' } });
    await center.clock.settle();
    expect(seen.at(-1)).toBe('5@7 {"a":5}');
    expect(statuses.at(-1)).toMatchObject({ state: 'applied', release: '5' });
  });
});

describe('releases of several namespaces', () => {
  function snapshots(center: FakeCenter, ...namespaces: string[]) {
    const client = center.client();
    const seen: string[] = [];
    for (const namespace of namespaces) client.config.document$(namespace).subscribe();
    client.config.snapshot$().subscribe((views) => {
      seen.push([...views].map(([name, view]) => `${name}=${JSON.stringify(view.tree)}`).join(' '));
    });
    return seen;
  }

  it('arrive as one, and the first comes when every namespace is there', async () => {
    const center = new FakeCenter();
    center.publish({ a: { content: 'v: 1' }, b: { content: 'v: 1' }, c: { content: 'v: 1' } });
    const seen = snapshots(center, 'a', 'b');
    await center.clock.settle();
    center.publish({ a: { content: 'v: 2' }, b: { content: 'v: 2' }, c: { content: 'v: 2' } });
    await center.clock.settle();
    center.publish({ a: { content: 'v: 3' } });
    await center.clock.settle();
    expect(seen).toEqual(['a={"v":1} b={"v":1}', 'a={"v":2} b={"v":2}', 'a={"v":3} b={"v":2}']);
  });

  it('are never shown in part when one namespace is slow, and are read after the bound', async () => {
    const center = new FakeCenter();
    center.publish({ a: { content: 'v: 1' }, b: { content: 'v: 1' } });
    const seen = snapshots(center, 'a', 'b');
    await center.clock.settle();
    // The watch of b delivers nothing more, as one whose connection is half open.
    const prefix = namespacePrefix({ ...billing, namespace: 'b' });
    const late = center.store.watchers.find((stream) => stream.created?.key.toString() === prefix);
    if (late !== undefined) vi.spyOn(late, 'flush').mockImplementation(() => undefined);
    center.publish({ a: { content: 'v: 2' }, b: { content: 'v: 2' } });
    await center.clock.advance(499);
    expect(seen).toEqual(['a={"v":1} b={"v":1}']);
    await center.clock.advance(1);
    expect(seen).toEqual(['a={"v":1} b={"v":1}', 'a={"v":2} b={"v":2}']);
  });

  it('are taken away in one piece too', async () => {
    const center = new FakeCenter();
    const gray = { rule: 'canary', match: { instances: ['pod-1'] } };
    center.publish({ a: { content: 'v: 1' }, b: { content: 'v: 1' } });
    center.publish({ a: { content: 'v: 2', gray }, b: { content: 'v: 2', gray } });
    const seen = snapshots(center, 'a', 'b');
    await center.clock.settle();
    center.remove(...['a', 'b'].map((namespace) => grayKey({ ...billing, namespace }, 'canary')));
    await center.clock.settle();
    expect(seen).toEqual(['a={"v":2} b={"v":2}', 'a={"v":1} b={"v":1}']);
  });

  it('a first list that is older than another waits for what was released between them', async () => {
    const center = new FakeCenter();
    center.publish({ a: { content: 'v: 1' }, b: { content: 'v: 1' } });
    const isListOfA = (request: unknown): boolean => {
      const { key, count_only } = request as pb.RangeRequest;
      return key.toString().includes('/a/') && !count_only;
    };
    const answerA = center.store.holdAnswer('range', isListOfA);
    const delayB = center.store.delayRequest('range', (request) =>
      (request as pb.RangeRequest).key.toString().includes('/b/'),
    );
    const seen = snapshots(center, 'a', 'b');
    await center.clock.settle();
    center.publish({ a: { content: 'v: 2' }, b: { content: 'v: 2' } });
    delayB();
    await center.clock.settle();
    expect(seen).toEqual([]);
    answerA();
    await center.clock.settle();
    expect(seen).toEqual(['a={"v":2} b={"v":2}']);
  });

  it('P27 after a compaction and with deletes unseen the documents are those of the store', async () => {
    const center = new FakeCenter();
    center.publish({ a: { content: 'v: 1' }, b: { content: 'v: 1' } });
    const seen = snapshots(center, 'a', 'b');
    await center.clock.settle();
    center.store.partition();
    center.publish({ a: { content: 'v: 2' } });
    center.remove(currentKey({ ...billing, namespace: 'b' }));
    center.store.compactTo(center.store.revision);
    center.store.putKey('other', 'x');
    center.store.heal();
    await center.clock.advance(3_000);
    expect(seen.at(-1)).toBe('a={"v":2} b={}');
  });

  it('P26 a store that was replaced is followed, whatever its revisions', async () => {
    const center = new FakeCenter();
    for (let i = 0; i < 5; i += 1) center.publish({ a: { content: `v: ${i}` } });
    const seen = snapshots(center, 'a');
    await center.clock.settle();
    center.store.replaceStore();
    center.publish({ a: { content: 'v: new' } });
    await center.clock.advance(2_000);
    expect(seen.at(-1)).toBe('a={"v":"new"}');
  });
});
