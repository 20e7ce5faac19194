import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type MemberProcess } from '../../members/member-process.js';
import { h2load } from '../h2load.js';
import { KeyLoad, percentile } from '../key-load.js';
import { type Effort, putLoad } from '../requests.js';
import { type ClusterTarget, eventually, pause, withCluster } from './cluster-target.js';
import { type Limit } from './limit.js';

const connections = 100;
/** Keys of 256 bytes that the state holds beside what the load writes. */
const stateKeys = 100_000;
/** A follower whose applied index is at most what is written in this time behind has caught up. */
const levelMs = 50;
/** The load goes on for so long before the follower comes back, and after it has caught up. */
const aroundMs = 1_000;
const p99RatioMost = 3;

interface TimedRequest {
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly tookMs: number;
}

/**
 * A follower was killed and is `entries` entries behind, more than the leader keeps; it comes back while puts go on at
 * half the peak rate. How long until it is level again, by a state rather than by entries, and what the puts notice.
 */
export function measureCatchUp(entries: number, effort: Effort): Promise<Limit[]> {
  return withCluster(async (cluster) => {
    await fill(cluster, Math.min(stateKeys, entries));
    const { leader, followers } = await cluster.roles();
    const [follower] = followers;
    const peak = await h2load({ ...putLoad(connections, 1, effort), url: leader.url });
    const rate = Math.floor(peak.requestsPerSecond / 2);
    await cluster.caughtUp();
    const calm = p99(await pacedPuts(leader, rate, Math.max(3, effort.seconds)).finished);
    const stoppedAt = await appliedIndex(cluster, follower);
    await follower.stop('SIGKILL');
    await h2load({ ...putLoad(connections, 1, effort), url: leader.url, requests: entries });
    const lag = (await appliedIndex(cluster, leader)) - stoppedAt;
    const load = pacedPuts(leader, rate, 60);
    await pause(aroundMs);
    const from = Date.now();
    await follower.start();
    const startedMs = Date.now() - from;
    await level(cluster, leader, follower, rate);
    const to = Date.now();
    await pause(aroundMs);
    load.stop();
    const meanwhile = (await load.finished).filter(({ startedAt }) => startedAt >= from && startedAt < to);
    return limitsOf({
      caughtUpMs: to - from,
      startedMs,
      lag,
      rate,
      calm,
      meanwhile: p99(meanwhile),
      states: await statesReceived(follower),
    });
  });
}

function limitsOf(figures: {
  readonly caughtUpMs: number;
  readonly startedMs: number;
  readonly lag: number;
  readonly rate: number;
  readonly calm: number;
  readonly meanwhile: number;
  readonly states: number;
}): Limit[] {
  const { caughtUpMs, startedMs, lag, rate, calm, meanwhile, states } = figures;
  if (states === 0) throw new Error('the follower caught up without a state: nothing was measured');
  return [
    {
      name: `catch-up of a follower ${lag} entries behind, at ${rate} puts/s`,
      unit: 'ms',
      value: caughtUpMs,
      atMost: undefined,
      note: `start of the process ${startedMs} ms; states received ${states}`,
    },
    {
      name: 'put p99 during the catch-up, over its calm value',
      unit: 'times',
      value: meanwhile / calm,
      atMost: p99RatioMost,
      note: `calm ${calm.toFixed(2)} ms, meanwhile ${meanwhile.toFixed(2)} ms`,
    },
  ];
}

async function fill(cluster: ClusterTarget, keys: number): Promise<void> {
  const { leader } = await cluster.roles();
  const load = new KeyLoad(leader, 4);
  await load.fill(0, keys, () => undefined);
  await load.close();
}

/** Puts at a steady rate over all connections, each request with its own time. Ends early with `stop`. */
function pacedPuts(
  member: MemberProcess,
  rate: number,
  seconds: number,
): { finished: Promise<TimedRequest[]>; stop: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'bench-paced-'));
  const logFile = join(folder, 'requests');
  const stopping = new AbortController();
  const load = {
    ...putLoad(connections, 10, { rounds: 1, seconds, warmUpSeconds: 0 }),
    url: member.url,
    perConnection: Math.max(1, Math.round(rate / connections)),
    logFile,
    signal: stopping.signal,
  };
  const finished = h2load(load).then(
    () => readLog(logFile),
    (error: unknown) => {
      if (!stopping.signal.aborted) throw error;
      return readLog(logFile);
    },
  );
  const cleared = finished.finally(() => rmSync(folder, { recursive: true, force: true }));
  return { finished: cleared, stop: () => stopping.abort() };
}

/** Lines of start in microseconds since 1970, HTTP status, microseconds; the last one may be cut off. */
function readLog(path: string): TimedRequest[] {
  const requests: TimedRequest[] = [];
  for (const line of readFileSync(path, 'latin1').split('\n').slice(0, -1)) {
    const [startedAt, status, took] = line.split('\t').map(Number);
    if (status !== 200) throw new Error(`a put was answered with HTTP status ${status}`);
    requests.push({ startedAt: startedAt / 1000, tookMs: took / 1000 });
  }
  return requests;
}

function p99(requests: readonly TimedRequest[]): number {
  if (requests.length === 0) throw new Error('no request was made in this time');
  return percentile(Float64Array.from(requests, ({ tookMs }) => tookMs).sort(), 0.99);
}

async function appliedIndex(cluster: ClusterTarget, member: MemberProcess): Promise<number> {
  return Number((await cluster.status(member)).raftAppliedIndex);
}

async function level(
  cluster: ClusterTarget,
  leader: MemberProcess,
  follower: MemberProcess,
  rate: number,
): Promise<void> {
  await eventually('the follower catches up', async () => {
    const wanted = await appliedIndex(cluster, leader);
    const reached = await appliedIndex(cluster, follower);
    return reached >= wanted - (rate * levelMs) / 1000 || undefined;
  });
}

async function statesReceived(member: MemberProcess): Promise<number> {
  const text = await (await fetch(`${member.url}/metrics`)).text();
  return Number(/^etcd_network_snapshot_receive_success\S* (\S+)$/m.exec(text)?.[1] ?? 0);
}
