import { type ConclaveClient } from '@conclave/client';
import { median } from '../rounds.js';
import { type ClusterTarget, pause, withCluster } from './cluster-target.js';
import { type Limit } from './limit.js';

const key = 'benchmark/transfer';
const value = Buffer.alloc(256, 0x65);
const lanesPerClient = 4;
const betweenPutsMs = 1;
/** Gaps are looked for from a little before the transfer until so long after it. */
const steadyMs = 300;
const afterMs = 1_500;
const gapMostMs = 200;

interface Transfer {
  /** The longest time without an acknowledged write, for the client whose member led, and for all clients together. */
  readonly leaderClientGapMs: number;
  readonly gapMs: number;
  readonly failed: number;
  readonly puts: number;
}

/**
 * Leadership handed over under load, on request (MoveLeader) and because the leader is told to stop (SIGTERM): the
 * longest gap between acknowledged writes, and requests of the SDK that failed. A client of the SDK is connected to
 * each member.
 */
export function measurePlannedTransfer(times: number): Promise<Limit[]> {
  return withCluster(async (cluster) => {
    const moved: Transfer[] = [];
    const stopped: Transfer[] = [];
    for (let i = 0; i < times; i++) {
      moved.push(await move(cluster));
      stopped.push(await stopLeader(cluster));
      process.stderr.write(`  transfer ${i + 1}/${times}: ${text(moved[i])}; stop: ${text(stopped[i])}\n`);
    }
    return [...limitsOf('MoveLeader', moved), ...limitsOf('SIGTERM of the leader', stopped)];
  });
}

function text({ gapMs, leaderClientGapMs, failed }: Transfer): string {
  return `gap ${gapMs.toFixed(0)} ms (client of the leader ${leaderClientGapMs.toFixed(0)}), ${failed} failed`;
}

function limitsOf(name: string, transfers: readonly Transfer[]): Limit[] {
  const gaps = transfers.map(({ gapMs }) => gapMs);
  const ofLeaderClient = transfers.map(({ leaderClientGapMs }) => leaderClientGapMs);
  const sum = (pick: (one: Transfer) => number): number =>
    transfers.reduce((total, one) => total + pick(one), 0);
  return [
    {
      name: `${name}, longest gap between writes`,
      unit: 'ms',
      value: Math.max(...gaps),
      atMost: gapMostMs,
      note: `${gaps.length} times; median ${median(gaps).toFixed(0)}`,
    },
    {
      name: `${name}, longest gap of the SDK connected to the leader`,
      unit: 'ms',
      value: Math.max(...ofLeaderClient),
      atMost: gapMostMs,
      note: `median ${median(ofLeaderClient).toFixed(0)}`,
    },
    {
      name: `${name}, failed requests of the SDK`,
      unit: 'requests',
      value: sum(({ failed }) => failed),
      atMost: 0,
      note: `of ${sum(({ puts }) => puts)}`,
    },
  ];
}

async function move(cluster: ClusterTarget): Promise<Transfer> {
  const { leader, followers } = await cluster.roles();
  const heir = followers[Math.floor(Math.random() * followers.length)];
  return underLoad(cluster, () => cluster.moveLeader(leader, heir));
}

async function stopLeader(cluster: ClusterTarget): Promise<Transfer> {
  const { leader } = await cluster.roles();
  const transfer = await underLoad(cluster, () => leader.stop('SIGTERM'));
  await cluster.restart(leader);
  return transfer;
}

async function underLoad(cluster: ClusterTarget, transfer: () => Promise<void>): Promise<Transfer> {
  const { leader } = await cluster.roles();
  const loads = cluster.members.map((member) => new TransferLoad(cluster.client(member)));
  await Promise.all(loads.map((load) => load.begin()));
  await pause(steadyMs);
  const from = performance.now();
  await transfer();
  await pause(afterMs);
  const to = performance.now();
  await Promise.all(loads.map((load) => load.end()));
  return {
    leaderClientGapMs: longestGap(loads[cluster.members.indexOf(leader)].acknowledgedAt, from, to),
    gapMs: longestGap(
      loads.flatMap(({ acknowledgedAt }) => acknowledgedAt),
      from,
      to,
    ),
    failed: loads.reduce((sum, { failures }) => sum + failures.length, 0),
    puts: loads.reduce((sum, { acknowledgedAt }) => sum + acknowledgedAt.length, 0),
  };
}

/** The longest time without one of these moments between `from` and `to`, ends included. */
function longestGap(moments: readonly number[], from: number, to: number): number {
  const inside = moments.filter((moment) => moment > from && moment < to).sort((a, b) => a - b);
  let longest = 0;
  let last = from;
  for (const moment of [...inside, to]) {
    longest = Math.max(longest, moment - last);
    last = moment;
  }
  return longest;
}

/** Lanes that put one after the other through one client of the SDK. */
class TransferLoad {
  readonly acknowledgedAt: number[] = [];
  readonly failures: unknown[] = [];
  private isOver = false;
  private lanes: Promise<void>[] = [];

  constructor(private readonly client: ConclaveClient) {}

  async begin(): Promise<void> {
    await this.client.ready();
    this.lanes = Array.from({ length: lanesPerClient }, (_, lane) => this.run(`${key}/${lane}`));
  }

  async end(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.lanes);
    await this.client.close({ drain: 100 });
  }

  private async run(own: string): Promise<void> {
    while (!this.isOver) {
      try {
        await this.client.kv.put(own, value);
        this.acknowledgedAt.push(performance.now());
      } catch (error) {
        this.failures.push(error);
        process.stderr.write(`  failed: ${String(error)}\n`);
      }
      await pause(betweenPutsMs);
    }
  }
}
