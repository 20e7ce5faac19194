import { type ElectionState, type Leadership, memoryFencingGate, type Waiter } from '@conclave/client';
import { BehaviorSubject, filter, firstValueFrom, ReplaySubject, Subject } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import { RunningEtcdctl } from '../client/etcdctl.js';
import { Fixture } from '../client/fixture.js';
import { hasEtcdctl, quickTargets } from '../client/targets.js';
import { BlockedHolder } from './blocked-holder.js';

const started: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const item of started.splice(0).reverse()) await item.stop();
});

async function start(kind: (typeof quickTargets)[number]): Promise<Fixture> {
  const fixture = await Fixture.start(kind);
  started.push({ stop: () => fixture.end() });
  return fixture;
}

function queueOf(queue$: { subscribe(observer: Subject<readonly Waiter[]>): unknown }) {
  const seen = new ReplaySubject<readonly Waiter[]>(1);
  queue$.subscribe(seen);
  return (wanted: number): Promise<readonly Waiter[]> =>
    firstValueFrom(seen.pipe(filter((queue) => queue.length === wanted)));
}

describe.each(quickTargets)('read-write lock on %s', (kind) => {
  it('serves readers and writers in the order of asking, over a crash of the member', async () => {
    const fixture = await start(kind);
    const lockOf = () => fixture.client({ requestTimeout: '30s' }).locks.rwlock('rw', { ttl: '30s' });
    const until = queueOf(lockOf().queue$());
    const first = await lockOf().read.acquire();
    const order: string[] = [];
    const writer = lockOf()
      .write.acquire()
      .then((handle) => {
        order.push('writer');
        return handle;
      });
    await until(2);
    const readers = [1, 2].map(async () => {
      const handle = await lockOf().read.acquire();
      order.push('reader');
      return handle;
    });
    expect((await until(4)).map((waiter) => waiter.isHolder)).toEqual([true, false, false, false]);
    await fixture.crashAndRestart();
    expect(order).toEqual([]);
    await first.release();
    const writing = await writer;
    expect(order).toEqual(['writer']);
    await writing.verify();
    await writing.release();
    const handles = await Promise.all(readers);
    expect(order).toEqual(['writer', 'reader', 'reader']);
    await Promise.all(handles.map((handle) => handle.release()));
  });

  it('never lets a writer in with anybody else, while the history is compacted under those who wait', async () => {
    const fixture = await start(kind);
    let [reading, writing, wrong, done] = [0, 0, 0, 0];
    const check = (): void => {
      if (writing > 1 || (writing === 1 && reading > 0)) wrong += 1;
    };
    const worker = async (seed: number): Promise<void> => {
      const client = fixture.client();
      const { read, write } = client.locks.rwlock('rw');
      for (let round = 0; round < 10; round += 1) {
        if ((round + seed) % 3 === 0) {
          await write.run(async () => {
            writing += 1;
            check();
            const { revision } = await client.kv.put('x', String(round));
            await client.kv.compact(revision).catch(() => undefined);
            writing -= 1;
          });
        } else {
          await read.run(async () => {
            reading += 1;
            check();
            await client.kv.get('x');
            reading -= 1;
          });
        }
        done += 1;
      }
    };
    await Promise.all([1, 2, 3, 4, 5, 6].map(worker));
    expect(done).toBe(60);
    expect(wrong).toBe(0);
    expect((await fixture.client().kv.range('rwlocks/', { prefix: true })).entries).toEqual([]);
  });
});

describe.each(quickTargets)('holders on %s', (kind) => {
  it('P8 a process whose event loop is blocked for ever loses the lock', async () => {
    const fixture = await start(kind);
    const holder = await BlockedHolder.start(fixture.member.url);
    started.push({ stop: () => holder.stop() });
    const next = await fixture.client().locks.mutex('m').acquire();
    expect(holder.isRunning).toBe(true);
    expect(next.token).toBeGreaterThan(holder.token);
  });

  it('P5 a token of before is refused by a gate, and the guarded transaction by the store', async () => {
    const fixture = await start(kind);
    const gate = memoryFencingGate();
    const client = fixture.client();
    const first = await client.locks.mutex('m').acquire();
    const paused = first.fence();
    await gate.run('r', paused, () => Promise.resolve());
    await fixture.client().kv.delete(first.key);
    const second = await fixture.client().locks.mutex('m').acquire();
    await gate.run('r', second.fence(), () => Promise.resolve());
    expect(second.fence().clusterId).toBe(paused.clusterId);
    await expect(gate.run('r', paused, () => Promise.resolve())).rejects.toMatchObject({
      code: 'fenced-off',
    });
    await expect(first.guardTxn((txn) => txn)).rejects.toMatchObject({
      code: expect.stringMatching(/fenced-off|lock-lost/) as string,
    });
  });

  it('P16 refuses what the same chain of calls holds, through another client', async () => {
    const fixture = await start(kind);
    const inner = fixture.client().locks.mutex('m');
    await expect(
      fixture
        .client()
        .locks.mutex('m')
        .run(() => inner.acquire()),
    ).rejects.toMatchObject({
      code: 'deadlock',
    });
  });
});

describe.each(quickTargets)('taking part in elections on %s', (kind) => {
  it('P21 hands over from process to process, each told once, while the member crashes', async () => {
    const fixture = await start(kind);
    const leaders: string[] = [];
    let [leading, overlaps] = [0, 0];
    const changed = new Subject<number>();
    const take = (name: string) => {
      let isLeading = false;
      const election = fixture.client({ requestTimeout: '30s' }).elections.election('e', { ttl: '20s' });
      return election.participate({ value: name, cooldown: '1ms' }).subscribe((state: ElectionState) => {
        const leads = state.role === 'leader' || state.role === 'suspect' || state.role === 'draining';
        const wasLeading = isLeading;
        isLeading = leads;
        if (wasLeading && !leads) leading -= 1;
        if (wasLeading || !leads) return;
        leading += 1;
        if (leading > 1) overlaps += 1;
        leaders.push(name);
        changed.next(leaders.length);
        // Told at once, inside this call, as draining and as over.
        void state.leadership.resign();
      });
    };
    const until = (count: number): Promise<unknown> =>
      leaders.length >= count ? Promise.resolve() : firstValueFrom(changed.pipe(filter((n) => n >= count)));
    const participants = ['a', 'b', 'c'].map(take);
    await until(9);
    await fixture.crashAndRestart();
    await until(leaders.length + 9);
    for (const participant of participants) participant.unsubscribe();
    expect(overlaps).toBe(0);
    expect(new Set(leaders)).toEqual(new Set(['a', 'b', 'c']));
  });

  it('P20 leaves and comes back with its health, and P19 drains before its key goes', async () => {
    const fixture = await start(kind);
    const healthy = new BehaviorSubject(true);
    const states = new ReplaySubject<ElectionState>();
    const election = fixture.client().elections.election('e');
    const subscription = election.participate({ eligible$: healthy, cooldown: '1ms' }).subscribe(states);
    const first = await firstValueFrom(states.pipe(filter((state) => state.role === 'leader')));
    let end = (): void => undefined;
    first.leadership.waitUntil(new Promise<void>((resolve) => (end = resolve)));
    healthy.next(false);
    await firstValueFrom(states.pipe(filter((state) => state.role === 'draining')));
    expect((await election.leader())?.term).toBe(first.leadership.term);
    end();
    expect(await first.leadership.done).toBe('resigned');
    expect(await election.leader()).toBeNull();
    healthy.next(true);
    const again = await firstValueFrom(
      states.pipe(
        filter((state) => state.role === 'leader'),
        filter((state) => state.leadership !== first.leadership),
      ),
    );
    expect(again.leadership.term).toBeGreaterThan(first.leadership.term);
    subscription.unsubscribe();
    await again.leadership.done;
  });

  it('P22 resumes the leadership of a crashed process, and only with its record', async () => {
    const fixture = await start(kind);
    const former = fixture.client();
    const session = await former.locks.session({ ttl: '20s' });
    const leadership = await former.elections.election('e', { session }).campaign({ value: 'name' });
    const record = leadership.record();
    const election = fixture.client().elections.election('e', { value: 'name' });
    const campaign = election.campaign();
    const resumed = await election.resume(record);
    expect(resumed.term).toBe(leadership.term);
    await resumed.proclaim('second life');
    expect((await election.leader())?.text).toBe('second life');
    await resumed.resign();
    expect((await campaign).term).toBeGreaterThan(resumed.term);
    await expect(election.resume(record)).rejects.toMatchObject({ code: 'leadership-lost' });
  });

  it('resigns in favour of one who waits behind others, and not of one who is gone', async () => {
    const fixture = await start(kind);
    const leaders: string[] = [];
    const campaign = async (value: string): Promise<Leadership> => {
      const leadership = await fixture.client().elections.election('e').campaign({ value });
      leaders.push(value);
      return leadership;
    };
    const observer = fixture.client().elections.election('e');
    const queued = async (value: string): Promise<Promise<Leadership>[]> => {
      const campaigning = campaign(value);
      await firstValueFrom(
        queueSizes(fixture, 'elections/e/').pipe(filter((names) => names.includes(value))),
      );
      return [campaigning];
    };
    const first = await campaign('a');
    const [second] = await queued('b');
    const [third] = await queued('c');
    await first.resign({ to: 'c' });
    const heir = await third;
    expect(leaders).toEqual(['a', 'c']);
    await heir?.resign({ to: 'nobody' });
    await second;
    expect(leaders).toEqual(['a', 'c', 'b']);
    expect((await observer.leader())?.text).toBe('b');
  });

  it.runIf(hasEtcdctl)('runs its function while `etcdctl elect` contends, one at a time', async () => {
    const fixture = await start(kind);
    const election = fixture.client().elections.election('boss', { raw: true });
    const stop = new AbortController();
    const began = new ReplaySubject<Leadership>();
    const running = election.runAsLeader(
      async (leadership) => {
        began.next(leadership);
        await new Promise<void>((resolve) => leadership.stopping.addEventListener('abort', () => resolve()));
      },
      { value: 'ours', signal: stop.signal },
    );
    await firstValueFrom(began);
    const theirs = new RunningEtcdctl(fixture.address, 'elect', 'boss', 'theirs');
    started.push({ stop: () => theirs.stop('SIGKILL') });
    await firstValueFrom(queueSizes(fixture, 'boss/').pipe(filter((names) => names.includes('theirs'))));
    expect(theirs.output).toBe('');
    stop.abort();
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    expect((await theirs.lines(2))[1]).toBe('theirs');
  });
});

/** The values under a prefix, now and on each change. */
function queueSizes(fixture: Fixture, prefix: string): Subject<string[]> {
  const names = new ReplaySubject<string[]>(1);
  fixture
    .client()
    .watch.state(prefix)
    .subscribe((view) =>
      names.next([...view.entries.values()].map((entry) => Buffer.from(entry.value).toString())),
    );
  return names;
}
