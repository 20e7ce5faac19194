import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { etcdserverpb } from '@conclave/protocol';
import { MemberProcess } from '../../members/member-process.js';
import { stopInOrder } from '../traffic/campaign.js';
import { MemberClient } from '../traffic/member-client.js';
import { Traffic } from '../traffic/traffic.js';
import { delay, within } from '../traffic/within.js';
import { canInject, tracedEnvironment, tracing } from './tracer.js';

const traced = canInject();
const note = traced ? '' : ' (left out: needs strace and the right to trace)';
/** The second segment of the log while it is filled with zeros. */
const nextSegment = 'data/member/wal/0000000000000002.tmp';

async function untilAlarm(client: MemberClient): Promise<void> {
  while (!(await client.alarms()).includes(etcdserverpb.AlarmType.NOSPACE)) await delay(20);
}

describe.skipIf(!traced)(`no space for the next segment of the log${note}`, () => {
  it('is no failed write: NOSPACE is raised, and all but growth goes on', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'conclave-fault-'));
    const path = join(directory, nextSegment);
    const fault = { path, call: 'pwrite64', fault: 'error=ENOSPC', when: '1+' } as const;
    const wrapper = tracing(join(directory, 'calls.log'), fault);
    const member = await MemberProcess.create('conclave', {
      directory,
      wrapper,
      environment: tracedEnvironment,
    });
    const traffic = new Traffic(1, 4);
    try {
      await within(member.start(), 'a start');
      const client = new MemberClient(member);
      await within(untilAlarm(client), 'the alarm');
      const put = await traffic.run(client, { kind: 'put', key: 'k', lease: 0n, padding: 0 });
      expect(put).toMatchObject({
        kind: 'failed',
        reason: expect.stringContaining('space exceeded') as string,
      });
      expect(await traffic.run(client, { kind: 'read', key: 'k' })).toMatchObject({
        kind: 'done',
        found: undefined,
      });
      expect(await traffic.run(client, { kind: 'delete', key: 'k' })).toMatchObject({
        kind: 'done',
        deleted: 0,
      });
      await client.close();
      await stopInOrder(member);
      expect(traffic.judge().violations).toEqual([]);
    } finally {
      await member.remove();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
