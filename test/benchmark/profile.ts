import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemberProcess } from '../members/member-process.js';
import { type Load, h2load } from './h2load.js';

/** A function and the share of the busy main thread's time that was spent in itself. */
export interface ProfileRow {
  readonly functionName: string;
  readonly share: number;
}

export interface PutProfile {
  /** What ran. */
  readonly load: string;
  /** Time of the main thread per request, microseconds, profiler included. */
  readonly busyMicrosecondsPerPut: number;
  readonly rows: readonly ProfileRow[];
}

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const rowsShown = 25;
const idle = ['(idle)', '(program)', '(root)'];

/** Runs a put load on our server under V8's profiler and tells where its main thread spends its time. */
export async function profilePuts(load: Omit<Load, 'url'>): Promise<PutProfile> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-profile-'));
  const member = await MemberProcess.create('conclave', {
    nodeArguments: ['--cpu-prof', `--cpu-prof-dir=${folder}`],
  });
  try {
    await member.start();
    const { requests } = await h2load({ ...load, url: member.url });
    await member.stop('SIGTERM');
    const profiles = readdirSync(folder).map(
      (name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as CpuProfile,
    );
    const name = `${load.connections} connections of ${load.streamsPerConnection} streams`;
    return summarise(mainThread(profiles), name, requests, load);
  } finally {
    await member.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The profile with the most samples outside of idle: threads for disk and flush mostly wait. */
function mainThread(profiles: readonly CpuProfile[]): CpuProfile {
  return [...profiles].sort((a, b) => busyMicroseconds(b) - busyMicroseconds(a))[0];
}

function selfTimes(profile: CpuProfile): Map<string, number> {
  const names = new Map(
    profile.nodes.map(({ id, callFrame }) => [
      id,
      callFrame.url === ''
        ? callFrame.functionName
        : `${callFrame.functionName || '(anonymous)'} ${callFrame.url.split('/').slice(-2).join('/')}`,
    ]),
  );
  const times = new Map<string, number>();
  profile.samples.forEach((id, at) => {
    const name = names.get(id) ?? '(unknown)';
    times.set(name, (times.get(name) ?? 0) + profile.timeDeltas[at]);
  });
  return times;
}

function busyMicroseconds(profile: CpuProfile): number {
  let busy = 0;
  for (const [name, time] of selfTimes(profile)) if (!idle.includes(name)) busy += time;
  return busy;
}

function summarise(
  profile: CpuProfile,
  load: string,
  requests: number,
  { warmUpSeconds, seconds }: Omit<Load, 'url'>,
): PutProfile {
  const busy = busyMicroseconds(profile);
  const rows = [...selfTimes(profile)]
    .filter(([name]) => !idle.includes(name))
    .sort(([, a], [, b]) => b - a)
    .slice(0, rowsShown)
    .map(([functionName, time]) => ({ functionName, share: time / busy }));
  // The warm-up is profiled too, at about the same rate as the measured part.
  const puts = requests * ((warmUpSeconds + seconds) / seconds);
  return { load, busyMicrosecondsPerPut: busy / puts, rows };
}
