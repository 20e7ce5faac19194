import { afterEach, describe, expect, it } from 'vitest';
import { MemberProcess } from '../../members/member-process.js';
import { stopInOrder } from '../traffic/campaign.js';
import { MemberClient } from '../traffic/member-client.js';
import { Traffic } from '../traffic/traffic.js';
import { delay, within } from '../traffic/within.js';
import { canShiftClocks, ShiftedClock } from './shifted-clock.js';

const possible = canShiftClocks();
const note = possible ? '' : ' (left out: needs Linux and a C compiler)';
const hour = 3_600;
const ttlSeconds = 2;
const lease = 77n;

/** The newest time that the member has printed, ms since 1970. */
function printedTime(output: string): number {
  const stamps = [...output.matchAll(/"ts":"([^"]+)"/g)].map(([, stamp]) => Date.parse(stamp));
  return stamps.at(-1) ?? 0;
}

describe.skipIf(!possible)(`the wall clock of a member jumps${note}`, () => {
  const clocks: ShiftedClock[] = [];
  let member: MemberProcess | undefined;
  afterEach(async () => {
    await member?.remove();
    for (const clock of clocks.splice(0)) clock.remove();
  });

  it('neither ends a lease early nor keeps one, and loses nothing; only the stamps of its log jump', async () => {
    const clock = new ShiftedClock();
    clocks.push(clock);
    member = await MemberProcess.create('conclave', { environment: clock.environment });
    await within(member.start(), 'a start');
    const traffic = new Traffic(1, 4);
    const client = new MemberClient(member);
    let isOver = false;
    const running = traffic.connect(member, () => isOver);
    for (const hours of [1, -1, 24 * 365]) {
      clock.shift(hours * hour);
      const grantedMs = performance.now();
      await client.grant(lease, ttlSeconds);
      await within(traffic.recorder.moreAcknowledged(100), `writes ${hours} hours ahead`);
      await within(untilGone(client), 'the end of the lease');
      expect(performance.now() - grantedMs).toBeGreaterThanOrEqual(1_000 * ttlSeconds);
    }
    isOver = true;
    await within(Promise.all(running), 'the answers to the last calls');
    await traffic.disconnect();
    await client.close();
    await traffic.finish(member);
    clock.shift(hour);
    await stopInOrder(member);
    expect(printedTime(member.output) - Date.now()).toBeGreaterThan(0.9 * hour * 1_000);
    const report = traffic.judge();
    expect(report.violations).toEqual([]);
    expect(report.unknown).toBe(0);
  });
});

async function untilGone(client: MemberClient): Promise<void> {
  while ((await client.timeToLive(lease)) >= 0) await delay(20);
}
