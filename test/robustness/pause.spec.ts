import { afterEach, describe, expect, it } from 'vitest';
import { MemberProcess } from '../members/member-process.js';
import { stopInOrder } from './traffic/campaign.js';
import { MemberClient } from './traffic/member-client.js';
import { Traffic } from './traffic/traffic.js';
import { delay, within } from './traffic/within.js';

const full = process.env['CONCLAVE_FULL'] === '1';
const seeds = full ? [1, 2, 3, 4, 5] : [1];
const pauses = full ? 10 : 4;
/** A pause is shorter than what is left of a lease that is renewed every second, so that none may expire. */
const pauseMsMax = 2_500;
const ttlSeconds = 8;
const renewedLease = 77n;

let member: MemberProcess | undefined;
afterEach(async () => {
  // Also ends a process that stands still.
  await member?.remove();
  member = undefined;
});

/** Renews the lease until told to stop; gives the TTLs that were answered. */
async function renew(client: MemberClient, isOver: () => boolean): Promise<number[]> {
  const answers: number[] = [];
  while (!isOver()) {
    answers.push(Number((await client.keepAlive(renewedLease)).TTL));
    await delay(1_000);
  }
  return answers;
}

describe('a member that stands still for a while (SIGSTOP, SIGCONT)', () => {
  it.each(seeds)(
    'loses and doubles no event and ends no lease early (seed %i)',
    async (seed) => {
      member = await MemberProcess.create('conclave');
      await within(member.start(), 'a start');
      const { pid } = member;
      const traffic = new Traffic(seed, 4);
      const keeper = new MemberClient(member);
      await keeper.grant(renewedLease, ttlSeconds);
      await traffic.run(keeper, { kind: 'put', key: 'kept', lease: renewedLease, padding: 0 });
      let isOver = false;
      const running = traffic.connect(member, () => isOver);
      const renewing = renew(keeper, () => isOver);
      for (let pause = 0; pause < pauses; pause++) {
        await within(traffic.recorder.moreAcknowledged(40), 'traffic before a pause');
        await delay(traffic.chance.below(200));
        process.kill(pid, 'SIGSTOP');
        await delay(50 + traffic.chance.below(pauseMsMax));
        process.kill(pid, 'SIGCONT');
      }
      await within(traffic.recorder.moreAcknowledged(40), 'traffic after the last pause');
      isOver = true;
      await within(Promise.all(running), 'the answers to the last calls');
      expect(new Set(await renewing)).toEqual(new Set([ttlSeconds]));
      expect(await keeper.timeToLive(renewedLease)).toBeGreaterThan(0);
      await keeper.close();
      await traffic.disconnect();
      await traffic.finish(member);
      await stopInOrder(member);
      const report = traffic.judge();
      expect(report.violations).toEqual([]);
      expect(report.unknown).toBe(0);
      expect(report.acknowledged).toBeGreaterThan(100);
    },
    120_000,
  );
});
