import { createClient } from '@conclave/client';
import { type Limit } from '../cluster/limit.js';
import { type Effort } from '../requests.js';
import { median } from '../rounds.js';
import { type Target, type TargetName } from '../target.js';
import { inClientProcess } from './client-process.js';
import { type LibraryName } from './kv-library.js';
import { type Figures, type Task } from './task.js';

/** One figure of three pairs of library and server. */
export interface SdkRow {
  readonly name: string;
  readonly unit: string;
  readonly oursOnOurs: number;
  readonly oursOnEtcd: number;
  readonly etcd3OnEtcd: number;
  /** The least that ours on ours is to be of etcd3 on etcd. */
  readonly floor: number | undefined;
}

export interface SdkFigures {
  readonly rows: readonly SdkRow[];
  readonly limits: readonly Limit[];
}

type Targets = Readonly<Record<TargetName, Target>>;
type Pair = 'oursOnOurs' | 'oursOnEtcd' | 'etcd3OnEtcd';

const pairs: Readonly<Record<Pair, { readonly library: LibraryName; readonly target: TargetName }>> = {
  oursOnOurs: { library: 'conclave', target: 'conclave' },
  oursOnEtcd: { library: 'conclave', target: 'etcd' },
  etcd3OnEtcd: { library: 'etcd3', target: 'etcd' },
};

/** The SDK beside npm `etcd3`, each measurement in a fresh client process, in rounds that alternate between the pairs. */
export async function measureSdk(targets: Targets, effort: Effort): Promise<SdkFigures> {
  const { seconds } = effort;
  const rows = [
    await row(targets, effort, 'put, 100 in flight', 5, { kind: 'put', inFlight: 100, seconds }),
    await row(targets, effort, 'get, 100 in flight', 5, { kind: 'get', inFlight: 100, seconds }),
    await row(targets, effort, 'lock and release, one after the other', 3, {
      kind: 'lock',
      inFlight: 1,
      seconds,
    }),
    await row(targets, effort, 'lock and release, 100 locks at once', 3, {
      kind: 'lock',
      inFlight: 100,
      seconds,
    }),
  ];
  return {
    rows,
    limits: [...(await states(targets)), ...(await fanOuts(targets, seconds)), await idleness(targets)],
  };
}

async function row(
  targets: Targets,
  effort: Effort,
  name: string,
  floor: number,
  task: Task,
): Promise<SdkRow> {
  const figures: Record<Pair, number[]> = { oursOnOurs: [], oursOnEtcd: [], etcd3OnEtcd: [] };
  const order = Object.keys(pairs) as Pair[];
  for (let round = 0; round < effort.rounds; round++) {
    for (const pair of round % 2 === 0 ? order : [...order].reverse()) {
      const { library, target } = pairs[pair];
      const { perSecond } = await inClientProcess({ library, address: targets[target].address, task });
      figures[pair].push(perSecond);
      process.stderr.write(
        `  ${name}, round ${round + 1}/${effort.rounds}, ${pair}: ${perSecond.toFixed(0)}/s\n`,
      );
    }
  }
  const { oursOnOurs, oursOnEtcd, etcd3OnEtcd } = figures;
  return {
    name,
    unit: '1/s',
    oursOnOurs: median(oursOnOurs),
    oursOnEtcd: median(oursOnEtcd),
    etcd3OnEtcd: median(etcd3OnEtcd),
    floor,
  };
}

/** Medians over client processes of their own: all of it is their first value. */
async function states(targets: Targets): Promise<Limit[]> {
  const address = targets.conclave.address;
  await filled(address, 'benchmark/ten-thousand/', 10_000);
  await filled(address, 'benchmark/one-hundred/', 100);
  const many = await stateFigures(address, 'benchmark/ten-thousand/', 10_000);
  const few = await stateFigures(address, 'benchmark/one-hundred/', 100);
  const [all, change, changeOfFew] = [many.firstMs, many.microsecondsPerChange, few.microsecondsPerChange];
  return [
    {
      name: 'state of 10,000 keys, first value after connecting',
      unit: 'ms',
      value: many.sinceConnectedMs,
      atMost: 100,
      note:
        `${all.toFixed(0)} ms after making the client, with its first connection; ` +
        `${change.toFixed(0)} µs of CPU per change, ${changeOfFew.toFixed(0)} with 100 keys`,
    },
  ];
}

async function stateFigures(address: string, prefix: string, keys: number): Promise<Figures> {
  const all: Figures[] = [];
  for (let process = 0; process < 5; process++) {
    const task = { kind: 'state', prefix, keys } as const;
    all.push(await inClientProcess({ library: 'conclave', address, task }));
  }
  const names = Object.keys(all[0]);
  return Object.fromEntries(names.map((name) => [name, median(all.map((figures) => figures[name]))]));
}

async function filled(address: string, prefix: string, keys: number): Promise<void> {
  const client = createClient({ endpoints: [address] });
  const lane = async (first: number): Promise<void> => {
    for (let index = first; index < keys; index += 50)
      await client.kv.put(`${prefix}${index}`, 'v'.repeat(100));
  };
  await Promise.all(Array.from({ length: 50 }, (_, first) => lane(first)));
  await client.close();
}

async function fanOuts(targets: Targets, seconds: number): Promise<Limit[]> {
  const limits: Limit[] = [];
  for (const target of Object.values(targets)) {
    const task = { kind: 'fan-out', subscribers: 1_000, seconds } as const;
    const figures = await inClientProcess({ library: 'conclave', address: target.address, task });
    limits.push({
      name: `put to callback of 1,000 subscribers on ${target.name}, p99`,
      unit: 'ms',
      value: figures.p99Ms,
      atMost: undefined,
      note: `median ${figures.medianMs.toFixed(1)} ms; ${Math.round(figures.eventsPerSecond).toLocaleString('en-US')} events/s`,
    });
  }
  return limits;
}

async function idleness(targets: Targets): Promise<Limit> {
  const { percentOfCore } = await inClientProcess({
    library: 'conclave',
    address: targets.conclave.address,
    task: { kind: 'idle', seconds: 30 },
  });
  return {
    name: 'idle client with 10 watches and a lease',
    unit: '% of a core',
    value: percentOfCore,
    atMost: 0.1,
    note: 'over 30 s',
  };
}
