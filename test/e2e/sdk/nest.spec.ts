import { afterEach, describe, expect, it } from 'vitest';
import { Fixture } from '../client/fixture.js';
import { quickTargets } from '../client/targets.js';
import { NestWorkerProcess } from './nest-worker-process.js';

const started: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const item of started.splice(0).reverse()) await item.stop();
});

async function start(kind: (typeof quickTargets)[number]): Promise<Fixture> {
  const fixture = await Fixture.start(kind);
  started.push({ stop: () => fixture.end() });
  return fixture;
}

function work(fixture: Fixture): NestWorkerProcess {
  const worker = NestWorkerProcess.start(fixture.member.url);
  started.push({ stop: () => worker.end('SIGKILL') });
  return worker;
}

/** The worker that leads first, and the other one. */
async function leaderFirst(
  pair: readonly [NestWorkerProcess, NestWorkerProcess],
): Promise<[NestWorkerProcess, NestWorkerProcess]> {
  const [a, b] = pair;
  const leader = await Promise.race(pair.map((worker) => worker.until('leading').then(() => worker)));
  return leader === a ? [a, b] : [b, a];
}

describe.each(quickTargets)('Nest applications in processes of their own, on %s', (kind) => {
  it('one leads and runs what leaders run; when it is killed, the other one does', async () => {
    const fixture = await start(kind);
    const [leader, follower] = await leaderFirst([work(fixture), work(fixture)]);
    await leader.until('leader-cron', 2);
    expect(follower.count('leader-cron') + follower.count('elected')).toBe(0);
    const first = await fixture.client().elections.election('work').leader();
    await leader.end('SIGKILL');
    const elected = await follower.until('elected');
    await follower.until('leader-cron');
    const second = await fixture.client().elections.election('work').leader();
    expect(second?.text).not.toBe(first?.text);
    expect(elected).toMatchObject({ term: String(second?.term) });
  });

  it('each due time has one run, and each lock one holder, over both', async () => {
    const fixture = await start(kind);
    const client = fixture.client();
    const claims: string[] = [];
    const watch = client.watch
      .events('schedules/cron-once/', { prefix: true })
      .subscribe(({ changes }) => claims.push(...changes.map(({ key }) => key)));
    await client.kv.get('x'); // the watch begins before the workers do
    const pair = [work(fixture), work(fixture)] as const;
    await Promise.all(pair.map((worker) => worker.until('locked', 10)));
    const runs = (): number => pair[0].count('cron-once') + pair[1].count('cron-once');
    await Promise.race(pair.map((worker) => worker.until('cron-once', 3)));
    await Promise.all(pair.map((worker) => worker.end('SIGTERM')));
    const stored = (await client.kv.range('schedules/cron-once/', { prefix: true })).entries;
    watch.unsubscribe();
    expect(runs()).toBeGreaterThanOrEqual(3);
    expect(runs()).toBe(stored.length);
    expect(new Set(claims).size).toBe(claims.length);

    const held = pair
      .flatMap((worker) => worker.reports)
      .filter((report) => report.kind === 'locked')
      .sort((one, other) => one.from - other.from);
    for (const [index, report] of held.slice(1).entries()) {
      expect(report.from).toBeGreaterThanOrEqual(held[index]?.at ?? Infinity);
      expect(BigInt(report.token)).toBeGreaterThan(BigInt(held[index]?.token ?? ''));
    }
  });

  it('SIGTERM lets the work of the leader end, then resigns; a second one changes nothing', async () => {
    const fixture = await start(kind);
    const [leader, follower] = await leaderFirst([work(fixture), work(fixture)]);
    const next = follower.until('elected');
    const ended = leader.end('SIGTERM');
    await leader.until('told-to-stop');
    leader.signal('SIGTERM');
    expect(await ended).toBe('SIGTERM');
    const { at } = await next;
    const end = leader.reports.filter(({ kind }) => ['told-to-stop', 'led', 'deposed'].includes(kind));
    expect(end).toMatchObject([
      { kind: 'told-to-stop' },
      { kind: 'led', isHeld: true },
      { kind: 'deposed', how: 'resigned' },
    ]);
    expect(at).toBeGreaterThan(end[1]?.at ?? Infinity);
    expect(leader.output).not.toMatch(/error/i);
    // Nothing of the ended process is left in the store.
    const { entries } = await fixture.client().kv.range('elections/', { prefix: true });
    expect(entries).toHaveLength(1);
    const holders = await fixture.client().kv.range('locks/', { prefix: true });
    expect(holders.entries.length).toBeLessThanOrEqual(1);
  });
});
