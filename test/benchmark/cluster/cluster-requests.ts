import { type Effort, putLoad, rangeLoad } from '../requests.js';
import { h2load, type Load } from '../h2load.js';
import { compare, type Comparison } from '../rounds.js';
import { ClusterTarget } from './cluster-target.js';

const connections = 100;
const fsyncCount = 'etcd_disk_wal_fsync_duration_seconds_count';

/** Puts through the leader and linearizable ranges through a follower, with h2load as the client of both clusters. */
export async function compareClusterRequests(effort: Effort): Promise<Comparison[]> {
  const targets = {
    conclave: await ClusterTarget.start('conclave'),
    etcd: await ClusterTarget.start('etcd'),
  };
  try {
    return [
      await compareShape(targets, effort, {
        name: 'three members: put through the leader, 100 connections',
        floor: 2,
        load: putLoad(connections, 1, effort),
        at: 'leader',
      }),
      await compareShape(targets, effort, {
        name: 'three members: linearizable range through a follower, 100 connections',
        floor: 3,
        load: rangeLoad(connections, 1, effort),
        at: 'follower',
      }),
    ];
  } finally {
    await targets.conclave.remove();
    await targets.etcd.remove();
  }
}

interface ClusterShape {
  readonly name: string;
  readonly floor: number;
  readonly load: Omit<Load, 'url'>;
  readonly at: 'leader' | 'follower';
}

async function compareShape(
  targets: Readonly<Record<'conclave' | 'etcd', ClusterTarget>>,
  effort: Effort,
  { name, floor, load, at }: ClusterShape,
): Promise<Comparison> {
  // Three members share the cores, so each of ours needs longer until its hot code is compiled. Alike for both clusters.
  for (const target of [targets.conclave, targets.etcd]) await warmUp(target, load, at, effort);
  const syncs = { conclave: 0, etcd: 0 };
  const requests = { conclave: 0, etcd: 0 };
  const measure = async (target: ClusterTarget): Promise<number> => {
    const before = await countSyncs(target);
    const { leader, followers } = await target.roles();
    const member = at === 'leader' ? leader : followers[0];
    const result = await h2load({ ...load, url: member.url });
    if (result.failed > 0) throw new Error(`${name} on ${target.name}: ${result.failed} requests failed`);
    if ((await target.roles()).leader !== leader) throw new Error(`${target.name}: the leader changed`);
    syncs[target.name] += (await countSyncs(target)) - before;
    requests[target.name] += result.requests;
    return result.requestsPerSecond;
  };
  const note = (): string =>
    `fdatasync of all members ${syncs.conclave} (ours), ${syncs.etcd} (etcd); ` +
    `requests ${requests.conclave}, ${requests.etcd}`;
  return compare({ name, unit: 'requests/s', floor }, targets, effort.rounds, measure, note);
}

async function warmUp(
  target: ClusterTarget,
  load: Omit<Load, 'url'>,
  at: ClusterShape['at'],
  { seconds }: Effort,
): Promise<void> {
  const { leader, followers } = await target.roles();
  await h2load({ ...load, url: (at === 'leader' ? leader : followers[0]).url, seconds: 2 * seconds });
}

async function countSyncs(target: ClusterTarget): Promise<number> {
  let sum = 0;
  for (const { url } of target.members) {
    const text = await (await fetch(`${url}/metrics`)).text();
    sum += Number(new RegExp(`^${fsyncCount} (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
  }
  return sum;
}
