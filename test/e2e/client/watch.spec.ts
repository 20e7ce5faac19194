import { rm } from 'node:fs/promises';
import { op, type RevisionBatch } from '@conclave/client';
import { filter, firstValueFrom, map, type Observable, ReplaySubject, scan, take, toArray } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import { CuttableLine } from './cuttable-line.js';
import { Fixture } from './fixture.js';
import { quickTargets } from './targets.js';

const started: { end(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((fixture) => fixture.end()));
});

async function start(kind: (typeof quickTargets)[number]): Promise<Fixture> {
  const fixture = await Fixture.start(kind);
  started.push(fixture);
  return fixture;
}

/** Records everything and lets a test wait for the batch that it names. */
function record(batches$: Observable<RevisionBatch>) {
  const seen = new ReplaySubject<RevisionBatch>();
  batches$.subscribe(seen);
  const all: RevisionBatch[] = [];
  seen.subscribe((batch) => all.push(batch));
  return {
    all,
    until: (wanted: (batch: RevisionBatch) => boolean) => firstValueFrom(seen.pipe(filter(wanted))),
  };
}

const names = (batch: RevisionBatch) => batch.changes.map((change) => `${change.type} ${change.key}`);

describe.each(quickTargets)('watch on %s', (kind) => {
  it('delivers a transaction as one batch, deletes with their old values, from a past revision on', async () => {
    const client = (await start(kind)).client();
    const { revision } = await client.kv.put('w/a', '1');
    await client.kv.txn().do(op.put('w/a', '2'), op.put('w/b', '1'), op.put('other', '1')).commit();
    await client.kv.delete('w/a');
    const batches = await firstValueFrom(
      client.watch
        .events('w/', { prefix: true, fromRevision: revision, prevKv: true })
        .pipe(take(3), toArray()),
    );
    expect(batches.map((batch) => batch.revision)).toEqual([revision, revision + 1n, revision + 2n]);
    expect(batches.map(names)).toEqual([['put w/a'], ['put w/a', 'put w/b'], ['delete w/a']]);
    expect(batches[2]?.changes[0]).toMatchObject({ prev: Buffer.from('2') });
    expect(batches[1]?.changes.map((change) => change.type === 'put' && change.created)).toEqual([
      false,
      true,
    ]);
  });

  it('P24 resumes over kill -9 and restart without a gap and without a duplicate', async () => {
    const fixture = await start(kind);
    const client = fixture.client({ requestTimeout: '30s' });
    const { revision } = await client.kv.put('n', '0');
    const watch = record(client.watch.events('n', { fromRevision: revision }));
    for (let round = 0; round < 3; round += 1) {
      for (let i = 0; i < 20; i += 1) await client.kv.put('n', `${round}.${i}`);
      await fixture.crashAndRestart();
      await client.kv.get('n');
    }
    const last = await client.kv.put('n', 'last');
    await watch.until((batch) => batch.revision === last.revision);
    const revisions = watch.all.map((batch) => batch.revision);
    expect(revisions).toEqual(
      Array.from({ length: Number(last.revision - revision) + 1 }, (_, i) => revision + BigInt(i)),
    );
    expect(watch.all.every((batch) => batch.cause === 'change')).toBe(true);
  });

  it('P27 tells unseen changes and deletes after a compaction that it missed', async () => {
    const fixture = await start(kind);
    const line = await CuttableLine.to(fixture.member.clientPort);
    started.push({ end: () => line.close() });
    const near = fixture.client();
    const far = fixture.client({ endpoints: [line.address] });
    await near.kv.put('d/gone', '1');
    const { revision } = await near.kv.put('d/kept', '1');
    const watch = record(far.watch.events('d/', { prefix: true, initial: true }));
    await watch.until((batch) => batch.cause === 'initial');
    await near.kv.put('d/kept', '2');
    await watch.until((batch) => batch.revision === revision + 1n);
    line.cut();
    await near.kv.delete('d/gone');
    await near.kv.put('d/new', '1');
    const last = await near.kv.put('other', '1');
    await near.kv.compact(last.revision);
    line.mend();
    const resync = await watch.until((batch) => batch.cause !== 'initial' && batch.revision > revision + 1n);
    expect(resync).toMatchObject({ cause: 'resync', complete: false, revision: last.revision });
    expect(names(resync)).toEqual(['delete d/gone', 'put d/new']);
    const next = await near.kv.delete('d/new');
    expect(names(await watch.until((batch) => batch.revision === next.revision))).toEqual(['delete d/new']);
  });

  it('leads to the content of a wiped store, and loses the locks of the old one', async () => {
    const fixture = await start(kind);
    const client = fixture.client({ requestTimeout: '30s' });
    for (let i = 0; i < 5; i += 1) await client.kv.put('z/a', String(i));
    const handle = await client.locks.mutex('m', { ttl: '60s' }).acquire();
    const watch = record(client.watch.events('z/', { prefix: true, initial: true }));
    await watch.until((batch) => batch.cause === 'initial');
    await fixture.crashAndRestart(() => rm(fixture.member.dataDirectory, { recursive: true }));
    const batch = await watch.until((other) => other.cause !== 'initial');
    expect(batch).toMatchObject({ cause: 'store-replaced', complete: true });
    expect(names(batch)).toEqual(['delete z/a']);
    expect(handle.isHeld()).toBe(false);
  });

  it('P27 starts from a compacted revision with a list', async () => {
    const client = (await start(kind)).client();
    await client.kv.put('k', '1');
    await client.kv.put('k', '2');
    const { revision } = await client.kv.put('j', '3');
    await client.kv.compact(revision);
    const watch = record(client.watch.events('', { prefix: true, fromRevision: 2n }));
    const batch = await watch.until(() => true);
    expect(batch).toMatchObject({ cause: 'resync', complete: true, revision });
    expect(names(batch).sort()).toEqual(['put j', 'put k']);
    const next = await client.kv.delete('k');
    expect(names(await watch.until((other) => other.revision === next.revision))).toEqual(['delete k']);
  });

  it('P25 puts fragmented responses together by revision', async () => {
    const client = (await start(kind)).client();
    const value = Buffer.alloc(900_000, 7);
    const { revision } = await client.kv.put('f/0', value);
    for (let i = 1; i < 5; i += 1) await client.kv.put(`f/${i}`, value);
    const half = value.subarray(0, 600_000);
    await client.kv.txn().do(op.put('f/5', half), op.put('f/6', half)).commit();
    const batches = await firstValueFrom(
      client.watch.events('f/', { prefix: true, fromRevision: revision }).pipe(take(6), toArray()),
    );
    expect(batches.map((batch) => batch.changes.length)).toEqual([1, 1, 1, 1, 1, 2]);
    expect(batches.map((batch) => batch.revision)).toEqual([0n, 1n, 2n, 3n, 4n, 5n].map((i) => revision + i));
  });

  it('errors on what no server accepts', async () => {
    const client = (await start(kind)).client();
    const bad$ = client.watch.events('b', { rangeEnd: 'a', fromRevision: 1n, trackKeys: false });
    await expect(firstValueFrom(bad$)).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('keeps a state up to date over a restart, and says when it is stale', async () => {
    const fixture = await start(kind);
    const client = fixture.client({ requestTimeout: '30s' });
    await client.kv.put('s/a', '1');
    const views$ = new ReplaySubject<string>();
    client.watch
      .state('s/', { codec: { decode: (bytes) => Buffer.from(bytes).toString() } })
      .pipe(
        map(
          (view) =>
            `${view.freshness.kind} ${[...view.entries].map(([key, e]) => `${key}=${e.value}`).join()}`,
        ),
      )
      .subscribe(views$);
    await firstValueFrom(views$.pipe(filter((view) => view === 'live s/a=1')));
    await fixture.crashAndRestart(async () => {
      await firstValueFrom(views$.pipe(filter((view) => view === 'stale s/a=1')));
    });
    await client.kv.put('s/b', '2');
    const history = views$.pipe(scan((all, view) => [...all, view], [] as string[]));
    const seen = await firstValueFrom(history.pipe(filter((all) => all.at(-1) === 'live s/a=1,s/b=2')));
    expect(seen).toContain('stale s/a=1');
  });
});
