import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CachedState,
  type CacheStore,
  type ClientWarning,
  fileCache,
  grpcTransport,
  latest,
  op,
  type RevisionBatch,
  type StateView,
  type TransportFactory,
} from '@conclave/client';
import { etcdserverpb } from '@conclave/protocol';
import { filter, firstValueFrom, type Observable, ReplaySubject, Subject } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import { CuttableLine } from '../client/cuttable-line.js';
import { Fixture } from '../client/fixture.js';
import { quickTargets } from '../client/targets.js';

const started: { end(): Promise<void> }[] = [];
afterEach(async () => {
  for (const item of started.splice(0).reverse()) await item.end();
});

async function start(kind: (typeof quickTargets)[number], flags: readonly string[] = []): Promise<Fixture> {
  const fixture = await Fixture.start(kind, { flags });
  started.push(fixture);
  return fixture;
}

async function lineTo(fixture: Fixture): Promise<CuttableLine> {
  const line = await CuttableLine.to(fixture.member.clientPort);
  started.push({ end: () => line.close() });
  return line;
}

/** Records everything and lets a test wait for what it names. */
function record<T>(values$: Observable<T>) {
  const seen = new ReplaySubject<T>();
  values$.subscribe(seen);
  const all: T[] = [];
  seen.subscribe({ next: (value) => all.push(value), error: () => undefined });
  return { all, until: (wanted: (value: T) => boolean) => firstValueFrom(seen.pipe(filter(wanted))) };
}

/** The usual transport; every answer on a watch stream is shown. */
function listening(show: (response: etcdserverpb.WatchResponse) => void): TransportFactory {
  return (endpoint, options) => {
    const made = grpcTransport(endpoint, options);
    const stream = made.stream.bind(made);
    made.stream = (path, call, observer) =>
      stream(path, call, {
        message: (bytes) => {
          if (path.endsWith('/Watch')) show(etcdserverpb.WatchResponse.decode(bytes));
          observer.message(bytes);
        },
        end: (error) => observer.end(error),
      });
    return made;
  };
}

const text = { decode: (bytes: Uint8Array) => Buffer.from(bytes).toString() };
const show = (view: StateView<string>): string =>
  `${view.cause} ${view.freshness.kind} ${[...view.entries.values()].map((e) => `${e.key}=${e.value}`).join(' ')} (${[...view.changed].sort().join(' ')})`;

class MemoryCache implements CacheStore {
  readonly states = new Map<string, CachedState>();
  private told: (state: CachedState) => void = () => undefined;
  /** The first state that is saved. */
  readonly saved = new Promise<CachedState>((resolve) => (this.told = resolve));
  load(id: readonly string[]): Promise<CachedState | undefined> {
    return Promise.resolve(this.states.get(id.join()));
  }
  save(id: readonly string[], state: CachedState): Promise<void> {
    this.states.set(id.join(), state);
    this.told(state);
    return Promise.resolve();
  }
}

describe.each(quickTargets)('watch of the SDK on %s', (kind) => {
  it('P25 delivers one big revision whole, although its answer comes in fragments, over lost connections', async () => {
    const fixture = await start(kind, ['--max-request-bytes=4194304']);
    const line = await lineTo(fixture);
    const near = fixture.client({ requestTimeout: '30s' });
    let fragments = 0;
    const transport = listening((response) => {
      if (response.fragment) fragments += 1;
    });
    const far = fixture.client({ endpoints: [line.address], requestTimeout: '30s', transport });
    const keys = Array.from({ length: 24 }, (_, n) => `b/${String(n).padStart(2, '0')}`);
    const write = async (round: number): Promise<bigint> => {
      const value = Buffer.alloc(150_000, round);
      return (
        await near.kv
          .txn()
          .do(...keys.map((key) => op.put(key, value)))
          .commit()
      ).revision;
    };
    const first = await write(0);
    // With the values before, an answer has 7.2 MB: more than a server sends at once.
    const watch = record<RevisionBatch>(
      far.watch.events('b/', { prefix: true, fromRevision: first, prevKv: true }),
    );
    let last = first;
    for (let round = 1; round < 8; round += 1) {
      last = await write(round);
      // The events of this very transaction are on their way.
      if (round % 2 === 1) {
        line.cut();
        line.mend();
      }
    }
    await watch.until((batch) => batch.revision === last);
    expect(fragments).toBeGreaterThan(0);
    expect(watch.all.map(({ revision }) => revision)).toEqual(
      Array.from({ length: 8 }, (_, n) => first + BigInt(n)),
    );
    for (const { changes, cause } of watch.all) {
      expect(cause).toBe('change');
      expect(changes.map(({ key }) => key).sort()).toEqual(keys);
      expect(new Set(changes.map((change) => change.type === 'put' && change.value[0])).size).toBe(1);
    }
  });

  it('P27 leads a state over a compaction that it missed, deletes included, and tells what changed', async () => {
    const fixture = await start(kind);
    const line = await lineTo(fixture);
    const near = fixture.client();
    const far = fixture.client({ endpoints: [line.address] });
    for (const key of ['s/gone', 's/kept', 's/same']) await near.kv.put(key, '1');
    const state = record(far.watch.state('s/', { codec: text }));
    await state.until((view) => view.entries.size === 3);
    line.cut();
    await near.kv.delete('s/gone');
    await near.kv.put('s/kept', '2');
    await near.kv.put('s/new', '1');
    await near.kv.compact((await near.kv.put('other', '1')).revision);
    line.mend();
    const resync = await state.until((view) => view.cause === 'resync');
    expect(show(resync)).toBe('resync live s/kept=2 s/new=1 s/same=1 (s/gone s/kept s/new)');
    expect(resync.entries.get('s/same')).toBe(state.all[0]?.entries.get('s/same'));
    expect(state.all.map((view) => view.freshness.kind)).toContain('stale');
  });

  it('P26 leads a state to a wiped store, and shows no cache of the old one afterwards', async () => {
    const fixture = await start(kind);
    const cache = new MemoryCache();
    const warnings: ClientWarning[] = [];
    const onWarning = (warning: ClientWarning): void => void warnings.push(warning);
    const client = fixture.client({ requestTimeout: '30s', onWarning });
    for (let n = 0; n < 5; n += 1) await client.kv.put('s/old', String(n));
    const state = record(client.watch.state('s/', { codec: text, cache }));
    await state.until((view) => view.entries.size === 1);
    await fixture.crashAndRestart(() => rm(fixture.member.dataDirectory, { recursive: true }));
    const replaced = await state.until((view) => view.cause === 'store-replaced');
    expect(show(replaced)).toBe('store-replaced live  (s/old)');
    await client.kv.put('s/new', '1');
    expect(show(await state.until((view) => view.entries.size === 1 && view.entries.has('s/new')))).toBe(
      'change live s/new=1 (s/new)',
    );
    await cache.saved;
    const old = new MemoryCache();
    for (const [id, state] of cache.states) old.states.set(id, { ...state, clusterId: 1n });
    const again = record(client.watch.state('s/', { codec: text, cache: old }));
    await again.until((view) => view.freshness.kind === 'live');
    expect(again.all.map((view) => view.freshness.kind)).not.toContain('cached');
    expect(warnings.map(({ code }) => code)).toContain('cache-unusable');
  });

  it('starts a state from the cache while no member answers', async () => {
    const fixture = await start(kind);
    const directory = mkdtempSync(join(tmpdir(), 'sdk-state-'));
    started.push({ end: () => rm(directory, { recursive: true }) });
    const cache = fileCache({ directory });
    const first = fixture.client();
    await first.kv.put('s/a', '1');
    const before = record(first.watch.state('s/', { codec: text, cache }));
    await before.until((view) => view.entries.size === 1);
    await first.close();
    const id = ['state', 's/*'];
    const saved = await eventually(() => cache.load(id));
    expect(saved.entries.map(({ key }) => key)).toEqual(['s/a']);
    await fixture.crashAndRestart(async () => {
      const second = fixture.client({ requestTimeout: '30s' });
      const state = record(second.watch.state('s/', { codec: text, cache }));
      expect(show(await state.until(() => true))).toBe('initial cached s/a=1 (s/a)');
      started.push({ end: async () => void (await state.until((view) => view.freshness.kind === 'live')) });
    });
    // Ended in reverse order: the state becomes live before the member goes.
    await started.pop()?.end();
  });

  it('P33 gives a slow loop the newest change of each key, and a slow subscriber the newest state', async () => {
    const fixture = await start(kind);
    const client = fixture.client();
    const { revision } = await client.kv.put('i/a', '0');
    const state = client.watch.state('i/', { codec: text });
    const iterator = client.watch
      .iterate('i/', { prefix: true, fromRevision: revision, highWaterMark: 4 })
      [Symbol.asyncIterator]();
    const views = latest(state)[Symbol.asyncIterator]();
    await iterator.next();
    await views.next();
    let last = revision;
    for (let n = 1; n <= 40; n += 1)
      last = (await client.kv.put(n % 2 === 0 ? 'i/a' : 'i/b', String(n))).revision;
    const kept = record(state);
    await kept.until((view) => view.revision === last);
    const told = new Map<string, string>();
    let batches = 0;
    for (let at = revision; at < last;) {
      const { value } = await iterator.next();
      if (value === undefined) throw new Error('the watch has ended');
      batches += 1;
      at = value.revision;
      for (const change of value.changes)
        if (change.type === 'put') told.set(change.key, String(change.value));
    }
    expect([...told].sort()).toEqual([
      ['i/a', '40'],
      ['i/b', '39'],
    ]);
    expect(batches).toBeLessThan(40);
    expect((await views.next()).value?.entries.get('i/a')?.value).toBe('40');
    await iterator.return?.();
    await views.return?.();
  });

  it('finds nothing lost where nothing was lost, however often it looks, under writes', async () => {
    const fixture = await start(kind);
    const warnings: ClientWarning[] = [];
    let reads = 0;
    const looked = new Subject<void>();
    const count = (_name: string, { method }: Readonly<Record<string, string>>): void => {
      if (method === 'KV/Range' && (reads += 1) === 5) looked.next();
    };
    const client = fixture.client({
      onWarning: (warning) => void warnings.push(warning),
      telemetry: { meter: { count, measure: () => undefined } },
    });
    const hasLooked = firstValueFrom(looked);
    const state = record(client.watch.state('a/', { codec: text, resyncEvery: '5ms' }));
    await state.until(() => true);
    let last = 0n;
    for (let n = 0; n < 400; n += 1) {
      const key = `a/${n % 10}`;
      last =
        n % 7 === 0 ? (await client.kv.delete(key)).revision : (await client.kv.put(key, String(n))).revision;
      if (n % 100 === 99) await client.kv.compact(last);
    }
    await state.until((view) => view.revision >= last);
    await hasLooked;
    expect(warnings).toEqual([]);
    expect(state.all.filter((view) => view.cause !== 'change')).toHaveLength(1);
  });

  it('shows ten thousand keys as one state, and each change of it alone', async () => {
    const fixture = await start(kind);
    const client = fixture.client({ requestTimeout: '30s' });
    for (let page = 0; page < 100; page += 1) {
      const keys = Array.from({ length: 100 }, (_, n) => `n/${String(page * 100 + n).padStart(5, '0')}`);
      await client.kv
        .txn()
        .do(...keys.map((key) => op.put(key, 'v')))
        .commit();
    }
    const state = record(client.watch.state('n/', { codec: text }));
    const first = await state.until(() => true);
    expect(first.entries.size).toBe(10_000);
    const { revision } = await client.kv.put('n/05000', 'w');
    const next = await state.until((view) => view.revision === revision);
    expect(next.changed).toEqual(new Set(['n/05000']));
    expect([...next.entries.values()].filter((entry) => first.entries.get(entry.key) !== entry)).toHaveLength(
      1,
    );
  });
});

/** What the function gives, as soon as it gives something. */
async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
  }
}
