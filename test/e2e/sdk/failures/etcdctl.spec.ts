import { type Leadership } from '@conclave/client';
import { spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filter, firstValueFrom, ReplaySubject } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import { RunningEtcdctl } from '../../client/etcdctl.js';
import { Fixture } from '../../client/fixture.js';
import { hasEtcdctl, targets } from '../../client/targets.js';

const started: { stop(): unknown }[] = [];
afterEach(async () => {
  for (const item of started.splice(0).reverse()) await item.stop();
});

async function start(kind: (typeof targets)[number]): Promise<Fixture> {
  const fixture = await Fixture.start(kind);
  started.push({ stop: () => fixture.end() });
  return fixture;
}

/** `etcdctl lock` around a command that writes down when it begins and ends. Resolves when it has ended. */
function lockedCommand(address: string, name: string, file: string): Promise<number | null> {
  const script = `echo begin ${name} >> ${file}; echo end ${name} >> ${file}`;
  const child = spawn('etcdctl', [`--endpoints=${address}`, 'lock', 'job', '--', 'sh', '-c', script], {
    env: { ...process.env, ETCDCTL_API: '3' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return new Promise((resolve) => child.once('exit', resolve));
}

/** The values under a prefix, now and on each change. */
function valuesUnder(fixture: Fixture, prefix: string): ReplaySubject<string[]> {
  const values = new ReplaySubject<string[]>(1);
  const view$ = fixture.client().watch.state(prefix);
  view$.subscribe((view) =>
    values.next([...view.entries.values()].map(({ value }) => Buffer.from(value).toString())),
  );
  return values;
}

describe.runIf(hasEtcdctl).each(targets)('contending with etcdctl on %s', (kind) => {
  it('gives one lock to one at a time, theirs and ours', async () => {
    const fixture = await start(kind);
    const folder = mkdtempSync(join(tmpdir(), 'contention-'));
    started.push({ stop: () => rmSync(folder, { recursive: true, force: true }) });
    const file = join(folder, 'turns');
    const rounds = process.env['CONCLAVE_FULL'] === '1' ? 8 : 4;
    // From then on one of ours holds the lock or waits in front of whoever asks for it.
    let beginTheirs: () => void = () => undefined;
    const oursBegan = new Promise<void>((resolve) => (beginTheirs = resolve));
    const theirs = Array.from({ length: 3 }, async (_, who) => {
      await oursBegan;
      for (let round = 0; round < rounds; round += 1) {
        expect(await lockedCommand(fixture.address, `etcdctl-${who}-${round}`, file)).toBe(0);
      }
    });
    let theirsEnded = false;
    const allTheirs = Promise.all(theirs).finally(() => (theirsEnded = true));
    const ours = Array.from({ length: 3 }, async (_, who) => {
      const client = fixture.client();
      for (let round = 0; round < rounds || !theirsEnded; round += 1) {
        await client.locks.mutex('job', { raw: true }).run(async (handle) => {
          appendFileSync(file, `begin ours-${who}-${round}\n`);
          beginTheirs();
          // Two turns of the store long, so that an overlap would show.
          await handle.verify();
          await handle.verify();
          appendFileSync(file, `end ours-${who}-${round}\n`);
        });
      }
    });
    await Promise.all([allTheirs, ...ours]);
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    const turns = lines.filter((line) => line.startsWith('begin')).map((line) => line.slice(6));
    expect(lines).toEqual(turns.flatMap((turn) => [`begin ${turn}`, `end ${turn}`]));
    expect(turns.filter((turn) => turn.startsWith('etcdctl'))).toHaveLength(3 * rounds);
    // Both kinds stood in one queue: neither was done before the other one began.
    const kinds = turns.map((turn) => turn.startsWith('etcdctl'));
    const changes = kinds.filter((isTheirs, at) => at > 0 && isTheirs !== kinds[at - 1]).length;
    expect(changes).toBeGreaterThan(3);
  });

  it('elects in the order of asking, one at a time, theirs and ours in turn', async () => {
    const fixture = await start(kind);
    const election = fixture.client().elections.election('boss', { raw: true });
    const candidates = valuesUnder(fixture, 'boss/');
    const queued = (value: string): Promise<unknown> =>
      firstValueFrom(candidates.pipe(filter((values) => values.includes(value))));
    const theirs: RunningEtcdctl[] = [];
    const ours: Promise<Leadership>[] = [];
    const elected = { theirs: 0, ours: 0 };
    for (let round = 0; round < 4; round += 1) {
      const command = new RunningEtcdctl(fixture.address, 'elect', 'boss', `theirs ${round}`);
      started.push({ stop: () => command.stop('SIGKILL') });
      theirs.push(command);
      await queued(`theirs ${round}`);
      const campaign = fixture
        .client()
        .elections.election('boss', { raw: true })
        .campaign({
          value: `ours ${round}`,
        });
      ours.push(campaign.finally(() => (elected.ours += 1)));
      await queued(`ours ${round}`);
    }
    for (let round = 0; round < 4; round += 1) {
      const command = theirs[round]!;
      expect((await command.lines(2))[1]).toBe(`theirs ${round}`);
      elected.theirs += 1;
      expect((await election.leader())?.text).toBe(`theirs ${round}`);
      expect(elected).toEqual({ theirs: round + 1, ours: round });
      expect(theirs.slice(round + 1).map(({ output }) => output)).toEqual(
        theirs.slice(round + 1).map(() => ''),
      );
      await command.stop();
      const leadership = await ours[round]!;
      expect((await election.leader())?.term).toBe(leadership.term);
      await leadership.verify();
      expect(theirs.slice(round + 1).map(({ output }) => output)).toEqual(
        theirs.slice(round + 1).map(() => ''),
      );
      await leadership.resign();
    }
    expect(await election.leader()).toBeNull();
  });
});
