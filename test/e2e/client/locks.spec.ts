import { type LeaderInfo, type LockHandle, type LockLostError } from '@conclave/client';
import { filter, firstValueFrom, ReplaySubject, Subject } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import { etcdctl, RunningEtcdctl } from './etcdctl.js';
import { Fixture } from './fixture.js';
import { hasEtcdctl, targets } from './targets.js';

const started: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const item of started.splice(0).reverse()) await item.stop();
});

async function start(kind: (typeof targets)[number]): Promise<Fixture> {
  const fixture = await Fixture.start(kind);
  started.push({ stop: () => fixture.end() });
  return fixture;
}

function running(address: string, ...args: string[]): RunningEtcdctl {
  const command = new RunningEtcdctl(address, ...args);
  started.push({ stop: () => command.stop('SIGKILL') });
  return command;
}

/** Resolves when the handle is lost. */
function loss(handle: LockHandle): Promise<unknown> {
  return new Promise((resolve) => {
    handle.signal.addEventListener('abort', () => resolve(handle.signal.reason), { once: true });
  });
}

describe.each(targets)('locks on %s', (kind) => {
  it.runIf(hasEtcdctl)('stands in one queue with `etcdctl lock`, both ways', async () => {
    const fixture = await start(kind);
    const mutex = fixture.client().locks.mutex('job', { raw: true });
    const theirs = running(fixture.address, 'lock', 'job');
    const [theirKey] = await theirs.lines(1);
    expect(theirKey).toMatch(/^job\/[0-9a-f]+$/);
    expect(await mutex.tryAcquire()).toBeNull();
    let queued: (ahead: number) => void = () => undefined;
    const isQueued = new Promise<number>((resolve) => (queued = resolve));
    const acquiring = mutex.acquire({ onQueued: (ahead) => queued(ahead) });
    expect(await isQueued).toBe(1);
    await theirs.stop();
    const ours = await acquiring;
    expect(ours.isHeld()).toBe(true);

    const next = running(fixture.address, 'lock', 'job');
    const queue = fixture.client().watch.events('job/', { prefix: true, initial: true });
    const keys = new Set<string>();
    await firstValueFrom(
      queue.pipe(
        filter((batch) => {
          for (const change of batch.changes) keys.add(change.key);
          return keys.size === 2;
        }),
      ),
    );
    expect(next.output).toBe('');
    await ours.release();
    expect((await next.lines(1))[0]).not.toBe(ours.key);
  });

  it.runIf(hasEtcdctl)('loses the lock at once when its lease is revoked', async () => {
    const fixture = await start(kind);
    const handle = await fixture.client().locks.mutex('m').acquire();
    const lost = loss(handle);
    etcdctl(fixture.address, 'lease', 'revoke', handle.leaseId.toString(16));
    // Two witnesses race: the deletion of the own key, and a keep-alive that finds no lease. Both are right.
    const reason = (await lost) as LockLostError;
    expect(reason.code).toBe('lock-lost');
    expect(['key-deleted', 'revoked']).toContain(reason.lossReason);
    expect(handle.isHeld()).toBe(false);
    await expect(handle.guardTxn((txn) => txn)).rejects.toMatchObject({ code: 'lock-lost' });
  });

  it('keeps the lock over a crash of the member that is shorter than the TTL', async () => {
    const fixture = await start(kind);
    const client = fixture.client({ requestTimeout: '30s' });
    const handle = await client.locks.mutex('m', { ttl: '20s' }).acquire();
    await fixture.crashAndRestart();
    await handle.verify();
    expect(handle.isHeld()).toBe(true);
    await handle.release();
    expect(await fixture.client().locks.mutex('m').tryAcquire()).not.toBeNull();
  });

  it('P1 stops believing before the store lets another one in, when the member is frozen', async () => {
    const fixture = await start(kind);
    const handle = await fixture.client().locks.mutex('m', { ttl: '2s' }).acquire();
    const lost = loss(handle);
    process.kill(fixture.member.pid, 'SIGSTOP');
    try {
      expect(await lost).toMatchObject({ lossReason: 'lease-expired-local' });
    } finally {
      process.kill(fixture.member.pid, 'SIGCONT');
    }
    const next = await fixture.client({ requestTimeout: '30s' }).locks.mutex('m').acquire();
    expect(next.token).toBeGreaterThan(handle.token);
  });

  it('never lets two clients overlap, while the member is killed and restarted', async () => {
    const fixture = await start(kind);
    let inside = 0;
    let overlaps = 0;
    const tokens: bigint[] = [];
    const progress = new Subject<number>();
    let last = false;
    const worker = async (): Promise<void> => {
      const client = fixture.client({ requestTimeout: '30s' });
      while (!last) {
        const handle = await client.locks.mutex('m', { ttl: '10s' }).acquire();
        // Belief is by the clock; a holder that was fenced off meanwhile does not count as inside.
        if (handle.isHeld()) {
          inside += 1;
          if (inside > 1) overlaps += 1;
          tokens.push(handle.token);
          progress.next(tokens.length);
          await client.kv.get('x').catch(() => undefined);
          inside -= 1;
        }
        await handle.release();
      }
    };
    /** Resolves when the workers have entered so many times more. */
    const entered = (more: number): Promise<unknown> => {
      const wanted = tokens.length + more;
      return firstValueFrom(progress.pipe(filter((count) => count >= wanted)));
    };
    const workers = [worker(), worker(), worker()];
    for (let round = 0; round < 3; round += 1) {
      await entered(10);
      await fixture.crashAndRestart();
    }
    await entered(10);
    last = true;
    await Promise.all(workers);
    expect(overlaps).toBe(0);
    expect(tokens.length).toBeGreaterThanOrEqual(40);
    expect(new Set(tokens).size).toBe(tokens.length);
    expect(tokens).toEqual([...tokens].sort((a, b) => (a < b ? -1 : 1)));
  });
});

describe.each(targets)('elections on %s', (kind) => {
  it.runIf(hasEtcdctl)('stands in one queue with `etcdctl elect`, both ways', async () => {
    const fixture = await start(kind);
    const election = fixture.client().elections.election('boss', { raw: true });
    const theirs = running(fixture.address, 'elect', 'boss', 'theirs');
    await theirs.lines(2);
    expect((await election.leader())?.text).toBe('theirs');
    const leaders = new ReplaySubject<LeaderInfo | null>();
    election.observe().subscribe(leaders);
    const campaign = election.campaign({ value: 'ours' });
    await theirs.stop();
    const leadership = await campaign;
    await firstValueFrom(leaders.pipe(filter((leader) => leader?.text === 'ours')));
    expect((await election.leader())?.term).toBe(leadership.term);

    const listener = running(fixture.address, 'elect', '--listen', 'boss');
    expect((await listener.lines(2)).slice(0, 2)).toEqual([leadership.key, 'ours']);
    await leadership.proclaim('ours, again');
    expect((await listener.lines(4)).slice(2, 4)).toEqual([leadership.key, 'ours, again']);
    const next = running(fixture.address, 'elect', 'boss', 'next');
    await leadership.resign();
    expect(await leadership.done).toBe('resigned');
    expect((await next.lines(2))[1]).toBe('next');
  });

  it('ends the leadership of a crashed client with its lease, and elects the next one', async () => {
    const fixture = await start(kind);
    const session = await fixture.client().locks.session({ ttl: '2s' });
    const first = await fixture.client().elections.election('e', { session }).campaign({ value: 'first' });
    const second = fixture.client().elections.election('e').campaign({ value: 'second' });
    await session.close();
    expect(await first.done).toBe('closed');
    expect((await second).term).toBeGreaterThan(first.term);
  });
});
