import { etcdserverpb } from '@conclave/protocol';
import { h2load, type Load } from './h2load.js';
import { compare, type Comparison } from './rounds.js';
import type { Target, TargetName } from './target.js';

export interface Effort {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

const fsyncCount = 'etcd_disk_wal_fsync_duration_seconds_count';
const key = Buffer.from('benchmark/one-key-of-32-bytes/000', 'utf8').subarray(0, 32);

const putMessage = etcdserverpb.PutRequest.encode(
  etcdserverpb.PutRequest.fromPartial({ key, value: Buffer.alloc(256, 0x61) }),
).finish();
const rangeMessage = etcdserverpb.RangeRequest.encode(
  etcdserverpb.RangeRequest.fromPartial({ key }),
).finish();

interface Shape {
  readonly name: string;
  readonly path: string;
  readonly message: Uint8Array;
  readonly connections: number;
  readonly streams: number;
  readonly floor?: number;
}

const shapes: readonly Shape[] = [
  { name: 'put, 1 connection', path: 'Put', message: putMessage, connections: 1, streams: 1, floor: 1.2 },
  { name: 'put, 100 connections', path: 'Put', message: putMessage, connections: 100, streams: 1, floor: 2 },
  { name: 'put, 1,000 connections', path: 'Put', message: putMessage, connections: 1000, streams: 1 },
  {
    name: 'put, 4 connections of 50 streams',
    path: 'Put',
    message: putMessage,
    connections: 4,
    streams: 50,
    floor: 3,
  },
  {
    name: 'put, 10 connections of 100 streams',
    path: 'Put',
    message: putMessage,
    connections: 10,
    streams: 100,
  },
  {
    name: 'linearizable range, 100 connections',
    path: 'Range',
    message: rangeMessage,
    connections: 100,
    streams: 1,
    floor: 5,
  },
];

/** Puts of 256 bytes and ranges of one key, with h2load as the client of both. */
export async function compareRequests(
  targets: Readonly<Record<TargetName, Target>>,
  effort: Effort,
  nameContains: string,
): Promise<Comparison[]> {
  const results: Comparison[] = [];
  const chosen = shapes.filter((shape) => shape.name.includes(nameContains));
  for (const shape of chosen) results.push(await compareShape(targets, effort, shape));
  return results;
}

async function compareShape(
  targets: Readonly<Record<TargetName, Target>>,
  effort: Effort,
  shape: Shape,
): Promise<Comparison> {
  const syncs: Record<TargetName, number> = { conclave: 0, etcd: 0 };
  const requests: Record<TargetName, number> = { conclave: 0, etcd: 0 };
  const measure = async (target: Target): Promise<number> => {
    const before = (await target.metric(fsyncCount)) ?? 0;
    const result = await h2load({ ...loadOf(shape, effort), url: target.url });
    if (result.failed > 0)
      throw new Error(`${shape.name} on ${target.name}: ${result.failed} requests failed`);
    syncs[target.name] += ((await target.metric(fsyncCount)) ?? 0) - before;
    requests[target.name] += result.requests;
    return result.requestsPerSecond;
  };
  const note = (): string =>
    `fdatasync ${syncs.conclave} (ours), ${syncs.etcd} (etcd); requests ${requests.conclave}, ${requests.etcd}`;
  return compare(
    { name: shape.name, unit: 'requests/s', floor: shape.floor },
    targets,
    effort.rounds,
    measure,
    note,
  );
}

function loadOf(shape: Omit<Shape, 'name'>, effort: Effort): Omit<Load, 'url'> {
  return {
    path: `/etcdserverpb.KV/${shape.path}`,
    message: shape.message,
    connections: shape.connections,
    streamsPerConnection: shape.streams,
    warmUpSeconds: effort.warmUpSeconds,
    seconds: effort.seconds,
  };
}

/** Puts of 256 bytes, for loads elsewhere. */
export function putLoad(connections: number, streams: number, effort: Effort): Omit<Load, 'url'> {
  return loadOf({ path: 'Put', message: putMessage, connections, streams }, effort);
}

/** Linearizable ranges of the key that `putLoad` puts. */
export function rangeLoad(connections: number, streams: number, effort: Effort): Omit<Load, 'url'> {
  return loadOf({ path: 'Range', message: rangeMessage, connections, streams }, effort);
}
