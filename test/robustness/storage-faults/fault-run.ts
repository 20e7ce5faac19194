import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemberProcess } from '../../members/member-process.js';
import { stopInOrder } from '../traffic/campaign.js';
import { Traffic, type TrafficReport } from '../traffic/traffic.js';
import { within } from '../traffic/within.js';
import { type Injection, tracedCalls, tracedEnvironment, tracing } from './tracer.js';

/** The files of a member that is started for the first time. */
export const firstSegment = 'member/wal/0000000000000001-0000000000000001.wal';
export const stateFile = 'member/db/state.lmdb';

export interface FaultReport extends TrafficReport {
  /** Exit code or signal with which the faulty life ended. */
  readonly end: number | string;
  /** What the member printed in it. */
  readonly output: string;
  /** System calls on the faulty file, in order. */
  readonly calls: readonly string[];
}

/**
 * One life under traffic with a fault in it, until the member ends by itself, and a second one without faults on the same
 * directory, in which everything is read and judged.
 */
export async function runWithFault(
  seed: number,
  injection: Omit<Injection, 'path'> & { readonly file: string },
): Promise<FaultReport> {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-fault-'));
  const traffic = new Traffic(seed, 4);
  const log = join(directory, 'calls.log');
  const path = join(directory, 'data', injection.file);
  const options = {
    directory,
    wrapper: tracing(log, { ...injection, path }),
    environment: tracedEnvironment,
  };
  const faulty = await MemberProcess.create('conclave', options);
  const healthy = await MemberProcess.create('conclave', { directory });
  try {
    const end = await liveUntilEnd(faulty, traffic);
    const { output } = faulty;
    const calls = await tracedCalls(log, faulty.pid);
    await within(healthy.start(), 'a start after the fault');
    await traffic.inspect(healthy);
    await traffic.finish(healthy);
    await stopInOrder(healthy);
    return { ...traffic.judge(), end, output, calls };
  } finally {
    await traffic.disconnect();
    await faulty.stop('SIGKILL');
    await healthy.stop('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The fault may come before the member serves, too. */
async function liveUntilEnd(member: MemberProcess, traffic: Traffic): Promise<number | string> {
  const isServing = await within(member.start(), 'a start or its failure').then(
    () => true,
    (error: unknown) => {
      if (error instanceof Error && error.message.includes('before it was ready')) return false;
      throw error;
    },
  );
  const running = isServing ? traffic.connect(member) : [];
  const end = await within(member.ended(), 'the end of a member with a fault');
  await within(Promise.all(running), 'the end of all calls after the end of the member');
  await traffic.disconnect();
  return end;
}
