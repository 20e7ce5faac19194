import { grpcTransport, type RevisionBatch, type StateView, type TransportFactory } from '@conclave/client';
import { config, filter, firstValueFrom, ReplaySubject } from 'rxjs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Fixture } from '../../client/fixture.js';
import { targets } from '../../client/targets.js';
import { ClientLine } from '../../../robustness/mutual-exclusion/client-line.js';
import { seen } from './failure-table.js';

/** A network that gives every message of a stream twice. */
const doubling: TransportFactory = (endpoint, options) => {
  const transport = grpcTransport(endpoint, options);
  return {
    unary: (path, request, how) => transport.unary(path, request, how),
    close: () => transport.close(),
    stream: (path, how, observer) =>
      transport.stream(path, how, {
        message: (bytes) => {
          const again = Uint8Array.from(bytes);
          observer.message(bytes);
          observer.message(again);
        },
        end: (error) => observer.end(error),
      }),
  };
};

describe.each(targets)('watches on %s', (kind) => {
  const started: { stop(): unknown }[] = [];
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await Fixture.start(kind);
  });
  afterEach(async () => {
    for (const item of started.splice(0).reverse()) await item.stop();
  });
  afterAll(() => fixture.end());

  it('lead over a compaction of what they missed, and tell the deletes in it', async () => {
    const line = await ClientLine.to(fixture.member.clientPort);
    started.push(line);
    const { kv } = fixture.client();
    await kv.put('c/kept', '1');
    await kv.put('c/deleted', '1');
    const batches = new ReplaySubject<RevisionBatch>();
    fixture
      .client({ endpoints: [line.url] })
      .watch.events('c/', { prefix: true, initial: true })
      .subscribe(batches);
    await firstValueFrom(batches);
    line.condition = { kind: 'lost' };
    line.reset();
    await kv.delete('c/deleted');
    const { revision } = await kv.put('c/kept', '2');
    await kv.put('elsewhere', '1');
    await kv.compact(revision + 1n);
    line.condition = { kind: 'open' };
    line.reset();
    const resync = await firstValueFrom(batches.pipe(filter(({ cause }) => cause === 'resync')));
    const changes = resync.changes.map((change) => `${change.type} ${change.key}`).sort();
    expect(changes).toEqual(['delete c/deleted', 'put c/kept']);
    seen(
      'compaction under a watch',
      kind,
      'one batch with cause resync: the put and the delete that were missed',
    );
  });

  it('deliver each change once when the network gives each message twice', async () => {
    const client = fixture.client({ transport: doubling });
    await client.kv.put('d/before', '');
    const batches = new ReplaySubject<RevisionBatch>();
    client.watch.events('d/', { prefix: true, initial: true }).subscribe(batches);
    await firstValueFrom(batches);
    const written: bigint[] = [];
    for (let step = 0; step < 50; step += 1) {
      written.push((await client.kv.put('d/x', String(step))).revision);
    }
    const told: bigint[] = [];
    batches.pipe(filter(({ cause }) => cause === 'change')).subscribe(({ changes }) => {
      for (const change of changes) if (change.type === 'put') told.push(change.modRevision);
    });
    const last = written.at(-1);
    await firstValueFrom(batches.pipe(filter(({ revision }) => revision === last)));
    // A repetition comes in the same turn as the original, or never.
    await client.kv.get('d/x');
    expect(told).toEqual(written);
    seen('duplicate delivery', kind, 'each change once, in order');
  });

  it('go on for all others, and for the one itself, when a handler throws', async () => {
    const errors: unknown[] = [];
    config.onUnhandledError = (error) => errors.push(error);
    const client = fixture.client();
    const view$ = client.watch.state('t/');
    let thrown = 0;
    const throwing = view$.subscribe(() => {
      thrown += 1;
      throw new Error('of a handler');
    });
    started.push({ stop: () => (config.onUnhandledError = null) });
    const views = new ReplaySubject<StateView<Uint8Array>>();
    view$.subscribe(views);
    await firstValueFrom(views);
    for (let step = 0; step < 3; step += 1) {
      const { revision } = await client.kv.put('t/x', String(step));
      await firstValueFrom(views.pipe(filter((view) => view.revision >= revision)));
    }
    throwing.unsubscribe();
    expect(thrown).toBeGreaterThan(1);
    await expect.poll(() => errors.length).toBe(thrown);
    expect(errors.every((error) => (error as Error).message === 'of a handler')).toBe(true);
    seen(
      'handler throws',
      kind,
      'reported as an uncaught error; both subscribers were told all that followed',
    );
  });
});
