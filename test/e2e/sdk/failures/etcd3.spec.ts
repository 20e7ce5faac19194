import { type RevisionBatch } from '@conclave/client';
import { type Etcd3, type IKeyValue, type IWatchResponse } from 'etcd3';
import { once } from 'node:events';
import { filter, firstValueFrom, ReplaySubject } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import { hasProgram } from '../../../members/member-process.js';
import { Fixture } from '../../client/fixture.js';
import { Belief } from './belief.js';
import { ClientLine } from '../../../robustness/mutual-exclusion/client-line.js';
import { KeyWitness } from './key-witness.js';
import { monotonicMs } from '../../../robustness/mutual-exclusion/monotonic.js';

/**
 * What the npm package etcd3 1.1.2 does, against etcd: the reasons for not wrapping it. Each test shows the defect, and
 * the same scenario with the SDK where no other test has it.
 */
describe.runIf(hasProgram('etcd'))('the npm package etcd3 on etcd', () => {
  const started: { stop(): unknown }[] = [];
  afterEach(async () => {
    for (const item of started.splice(0).reverse()) await item.stop();
  });

  async function start(): Promise<Fixture> {
    const fixture = await Fixture.start('etcd');
    started.push({ stop: () => fixture.end() });
    // Its protobuf library looks for the package of 64-bit numbers there, and would round ids silently without it.
    Object.assign(globalThis, { Long: (await import('long')).default });
    return fixture;
  }

  async function lineTo(fixture: Fixture): Promise<ClientLine> {
    const line = await ClientLine.to(fixture.member.clientPort);
    started.push(line);
    return line;
  }

  async function etcd3(url: string): Promise<Etcd3> {
    const client = new (await import('etcd3')).Etcd3({ hosts: url });
    started.push({ stop: () => client.close() });
    return client;
  }

  it('E1 npm etcd3 believes in a lease that the server has ended, for longer than the TTL', async () => {
    const fixture = await start();
    const line = await lineTo(fixture);
    const ttlMs = 2_000;
    const theirs = (await etcd3(line.url)).lease(ttlMs / 1_000);
    let lostAt = Infinity;
    const lost = once(theirs, 'lost').then(() => (lostAt = monotonicMs()));
    await theirs.put('theirs').value('1');
    await once(theirs, 'keepaliveSucceeded');
    const renewedAt = monotonicMs();
    const direct = fixture.client({ requestTimeout: '30s' });
    const witness = new KeyWitness(direct, 'theirs');
    started.push(witness);
    const ours = await fixture
      .client({ endpoints: [line.url], onWarning: () => undefined })
      .locks.mutex('ours', { ttl: ttlMs })
      .acquire();
    const belief = new Belief(ours);
    const ourWitness = new KeyWitness(direct, ours.key);
    started.push(ourWitness);
    line.condition = { kind: 'lost' };

    const goneAt = await witness.goneAt;
    expect(theirs.revoked()).toBe(false);
    await lost;
    expect(lostAt).toBeGreaterThan(goneAt);
    expect(lostAt - renewedAt).toBeGreaterThan(1.5 * ttlMs);

    expect(await belief.lost).toBe('lease-expired-local');
    await ourWitness.goneAt;
    expect(belief.until).toBeLessThan(ourWitness.presentAt);
  });

  it('E2 npm etcd3 loses events when its watch on the past is disconnected; the SDK does not', async () => {
    const fixture = await start();
    const { kv } = fixture.client();
    const written = 2_500;
    const value = 'x'.repeat(2_000);
    for (let step = 0; step < written; step += 100) {
      const puts = Array.from({ length: 100 }, (_, at) => kv.put(`w/${step + at}`, value));
      await Promise.all(puts);
    }

    const line = await lineTo(fixture);
    const theirs = (await etcd3(line.url)).watch().prefix('w/').startRevision('2').watcher();
    const seen = new Set<string>();
    const end = new Promise<void>((resolve) => {
      theirs.on('put', (entry: IKeyValue) => {
        seen.add(entry.mod_revision);
        if (entry.key.toString() === 'w/end') resolve();
      });
    });
    const batch = once(theirs, 'data') as Promise<[IWatchResponse]>;
    await batch;
    line.reset();
    await once(theirs, 'connected');
    await kv.put('w/end', '');
    await end;
    expect(seen.size).toBeLessThan(written);

    const ourLine = await lineTo(fixture);
    const batches = new ReplaySubject<RevisionBatch>();
    fixture
      .client({ endpoints: [ourLine.url] })
      .watch.events('w/', { prefix: true, fromRevision: 2n })
      .subscribe(batches);
    await firstValueFrom(batches);
    ourLine.reset();
    const revisions: bigint[] = [];
    batches.subscribe((next) => revisions.push(next.revision));
    await firstValueFrom(batches.pipe(filter(({ changes }) => changes.some(({ key }) => key === 'w/end'))));
    expect(revisions).toEqual(Array.from({ length: written + 1 }, (_, at) => BigInt(at + 2)));
  });

  it('E3 npm etcd3 tells a candidate that it is elected after it resigned; the SDK does not', async () => {
    const fixture = await start();
    const theirs = await etcd3(fixture.member.url);
    const campaign = (value: string) => theirs.election('office', 10).campaign(value);
    const first = campaign('a');
    await once(first, 'elected');
    const second = campaign('b');
    await once(second, '_isWaiting');
    const third = campaign('c');
    await once(third, '_isWaiting');
    const isElected = Promise.all([once(second, 'elected'), once(third, 'elected')]);
    await second.resign();
    await first.resign();
    await isElected;
    const [leader] = (await fixture.client().kv.range('election/office/', { prefix: true })).entries;
    expect(leader?.text).toBe('c');
    await third.resign();

    const election = fixture.client().elections.election('ours');
    const leadership = await election.campaign();
    const told: string[] = [];
    const waiting = fixture
      .client()
      .elections.election('ours')
      .participate()
      .subscribe(({ role }) => told.push(role));
    await firstValueFrom(
      fixture
        .client()
        .watch.state('elections/ours/')
        .pipe(filter(({ entries }) => entries.size === 2)),
    );
    waiting.unsubscribe();
    await leadership.resign();
    const next = await fixture.client().elections.election('ours').campaign();
    expect(told).not.toContain('leader');
    await next.resign();
  });

  it('E4 npm etcd3 has no queue for a lock, and does not tell its holder of a loss', async () => {
    const fixture = await start();
    const theirs = await etcd3(fixture.member.url);
    const first = theirs.lock('mutex').ttl(10);
    await first.acquire();
    await expect(theirs.lock('mutex').ttl(10).acquire()).rejects.toThrow('Failed to acquire a lock');
    await first.release();
    const lock = theirs.lock('mutex').ttl(10);
    let other: string | undefined;
    const result = await lock.do(async () => {
      const id = await lock.leaseId();
      await fixture.client().leases.revoke(BigInt(id ?? 0));
      const second = theirs.lock('mutex').ttl(10);
      await second.acquire();
      other = 'inside at the same time';
      await second.release();
      return 'done';
    });
    expect({ other, result }).toEqual({ other: 'inside at the same time', result: 'done' });

    const running = fixture
      .client()
      .locks.mutex('ours')
      .run(async (handle) => {
        await fixture.client().leases.revoke(handle.leaseId);
        await once(handle.signal, 'abort');
        return 'done';
      });
    await expect(running).rejects.toMatchObject({ code: 'lock-lost' });
  });
});
