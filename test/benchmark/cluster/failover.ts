import { type ConclaveClient } from '@conclave/client';
import { etcdserverpb } from '@conclave/protocol';
import { median } from '../rounds.js';
import { type ClusterTarget, pause, withCluster } from './cluster-target.js';
import { type Limit } from './limit.js';

const key = Buffer.from('benchmark/failover');
const value = Buffer.alloc(256, 0x64);
const putRequest = etcdserverpb.PutRequest.fromPartial({ key, value });
const putMessage = etcdserverpb.PutRequest.encode(putRequest).finish();
/** Between two puts of a client: it notices an answer, it does not load the machine. */
const betweenPutsMs = 2;
const steadyMs = 300;
const electionTimeoutMs = 1_000;

/**
 * The leader is killed with SIGKILL, again and again: milliseconds until a put is acknowledged in a later term, for our
 * SDK, whose connection was that to the leader, and for clients that try every member all the time. The killed member
 * is back and level before the next kill.
 */
export function measureFailover(kills: number): Promise<Limit[]> {
  return withCluster(async (cluster) => {
    const sdk: number[] = [];
    const raw: number[] = [];
    for (let kill = 0; kill < kills; kill++) {
      const one = await killLeader(cluster);
      sdk.push(one.sdk);
      raw.push(one.raw);
      process.stderr.write(
        `  kill ${kill + 1}/${kills}: SDK ${one.sdk.toFixed(0)} ms, any member ${one.raw.toFixed(0)} ms\n`,
      );
    }
    return [
      ...limitsOf('leader killed, next write of the SDK', sdk),
      ...limitsOf('leader killed, next write through any member', raw),
    ];
  });
}

function limitsOf(name: string, times: readonly number[]): Limit[] {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): string => sorted[Math.floor(sorted.length * share)].toFixed(0);
  const note = `${times.length} kills; fastest ${at(0)}, quartiles ${at(0.25)} and ${at(0.75)}`;
  return [
    { name: `${name}, median`, unit: 'ms', value: median(times), atMost: 300, note },
    {
      name: `${name}, worst`,
      unit: 'ms',
      value: Math.max(...times),
      atMost: 2 * electionTimeoutMs,
      note: '',
    },
  ];
}

async function killLeader(cluster: ClusterTarget): Promise<{ sdk: number; raw: number }> {
  const { leader, followers, term } = await cluster.roles();
  const client = cluster.client(leader);
  await client.ready();
  const isOver = { value: false };
  const sdkSeen = putUntilLaterTerm(() => sdkPut(client), term, isOver);
  const rawSeen = followers.map((member) => putUntilLaterTerm(() => rawPut(cluster, member), term, isOver));
  await pause(steadyMs);
  const killedAt = performance.now();
  const ended = leader.stop('SIGKILL');
  const [sdk, raw] = await Promise.all([sdkSeen, Promise.race(rawSeen)]);
  isOver.value = true;
  await Promise.all([ended, ...rawSeen]);
  await client.close({ drain: 100 });
  await cluster.restart(leader);
  return { sdk: sdk - killedAt, raw: raw - killedAt };
}

/** Puts, one after the other, and again after failures; resolves with when one was acknowledged in a later term. */
async function putUntilLaterTerm(
  put: () => Promise<bigint>,
  term: bigint,
  isOver: { readonly value: boolean },
): Promise<number> {
  for (;;) {
    const answered = await put().catch(() => 0n);
    if (answered > term || isOver.value) return performance.now();
    await pause(betweenPutsMs);
  }
}

async function sdkPut(client: ConclaveClient): Promise<bigint> {
  return (await client.store.put(putRequest)).header!.raft_term;
}

async function rawPut(
  cluster: ClusterTarget,
  member: Parameters<ClusterTarget['channel']>[0],
): Promise<bigint> {
  const answer = await cluster.channel(member).call('/etcdserverpb.KV/Put', putMessage);
  return etcdserverpb.PutResponse.decode(answer).header!.raft_term;
}
