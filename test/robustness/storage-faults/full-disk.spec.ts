import { execFileSync, spawnSync } from 'node:child_process';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { etcdserverpb } from '@conclave/protocol';
import { MemberProcess } from '../../members/member-process.js';
import { type Outcome, type Request } from '../history/operation.js';
import { stopInOrder } from '../traffic/campaign.js';
import { MemberClient } from '../traffic/member-client.js';
import { Traffic } from '../traffic/traffic.js';
import { within } from '../traffic/within.js';
import { canMount, SmallDisk } from './small-disk.js';

const mountable = canMount();
const note = mountable ? '' : ' (left out: needs root, mkfs.ext4 and the right to mount)';
/** More than the disk can hold, in values of 256 KiB. */
const writesMax = 600;
const padding = 256 * 1024;
/** Few keys: what fills the disk is history, which a compaction gives back. */
const keys = 8;

const waiting = { timeout: 20_000, interval: 50 };

let disk: SmallDisk | undefined;
let member: MemberProcess | undefined;
afterEach(async () => {
  if (disk === undefined) return member?.remove();
  await member?.stop('SIGKILL');
  disk.remove();
  disk = undefined;
});

const put = (key: string, bytes: number): Request => ({ kind: 'put', key, lease: 0n, padding: bytes });

/** Writes until the member refuses; gives the refusal. */
async function fill(traffic: Traffic, client: MemberClient): Promise<Outcome> {
  for (let write = 0; write < writesMax; write++) {
    const key = `big/${write % keys}`;
    const outcome = await traffic.run(client, put(key, padding));
    if (outcome.kind !== 'done') return outcome;
  }
  throw new Error(`${writesMax} writes fitted on the disk`);
}

/** A limit of the size of a file: the state outgrows it, while each file of the log stays below. */
const canLimit = process.platform === 'linux' && spawnSync('prlimit', ['--version']).status === 0;
const fileBytesMax = 80 * 1024 * 1024;

describe.skipIf(!canLimit)('a state that cannot grow, beside a log that can', () => {
  it('raises NOSPACE, again while that lasts, and is written on with space', async () => {
    member = await MemberProcess.create('conclave', {
      wrapper: ['prlimit', `--fsize=${fileBytesMax}:unlimited`],
    });
    await within(member.start(), 'a start');
    const traffic = new Traffic(1, 0);
    await Promise.all(traffic.connect(member));
    const client = new MemberClient(member);
    expect(await fill(traffic, client)).toMatchObject({
      kind: 'failed',
      reason: expect.stringContaining('database space exceeded') as string,
    });
    await client.disarm();
    await vi.waitFor(
      async () => expect(await client.alarms()).toEqual([etcdserverpb.AlarmType.NOSPACE]),
      waiting,
    );
    execFileSync('prlimit', ['--pid', String(member.pid), '--fsize=unlimited']);
    await vi.waitFor(async () => {
      await client.disarm();
      expect(await traffic.run(client, put('after', 0))).toMatchObject({ kind: 'done' });
    }, waiting);
    await traffic.inspect(member);
    const last = (await client.range({ key: Buffer.from('after') })).header!.revision;
    await within(traffic.watchers[0].until(Number(last)), 'all events to reach a watcher');
    await traffic.disconnect();
    await client.close();
    await stopInOrder(member);
    expect(traffic.judge().violations).toEqual([]);
  });
});

describe.skipIf(!mountable)(`a disk that is full${note}`, () => {
  it('raises NOSPACE; reads, deletes and compaction go on; nothing that was confirmed is lost', async () => {
    disk = new SmallDisk();
    const { directory, wrapper } = disk;
    member = await MemberProcess.create('conclave', { directory, wrapper });
    await within(member.start(), 'a start');
    const traffic = new Traffic(1, 0);
    await Promise.all(traffic.connect(member));
    const client = new MemberClient(member);
    const refusal = await fill(traffic, client);
    expect(refusal).toMatchObject({
      kind: 'failed',
      reason: expect.stringContaining('database space exceeded') as string,
    });
    expect(await client.alarms()).toEqual([etcdserverpb.AlarmType.NOSPACE]);
    expect(await traffic.run(client, { kind: 'read', key: 'big/0' })).toMatchObject({ kind: 'done' });
    const removal = await traffic.run(client, { kind: 'delete', key: 'big/1' });
    expect(removal).toMatchObject({ kind: 'done', deleted: 1 });
    await traffic.inspect(member);
    const { revision } = removal as Outcome & { kind: 'done' };
    await within(traffic.watchers[0].until(revision), 'all events to reach a watcher');
    await client.compact(revision - 1);
    await traffic.disconnect();
    await client.close();
    await stopInOrder(member);
    await within(member.start(), 'a start with a full disk');
    const again = new MemberClient(member);
    expect(await again.alarms()).toEqual([etcdserverpb.AlarmType.NOSPACE]);
    for (let key = 0; key < keys; key++) await traffic.run(again, { kind: 'read', key: `big/${key}` });
    await again.close();
    expect(traffic.judge().violations).toEqual([]);
  });
});
