import { Buffer } from 'node:buffer';
import { map, type Observable, scan } from 'rxjs';
import { type CallOptions } from '../kv-store.js';
import { type Entry, type LeaseId, type Revision } from '../kv/entry.js';
import { type Kv } from '../kv/kv.js';
import { type RevisionBatch } from '../watch/revision-batch.js';
import { type Watches } from '../watch/watches.js';
import { type FencingToken } from './fence.js';

/** One key of a queue. */
export interface QueueEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** The value as UTF-8 text. */
  readonly text: string;
  readonly leaseId: LeaseId;
  /** Fixed when it queued: its token when its turn comes. */
  readonly token: FencingToken;
  /** The revision of the last put of its value. */
  readonly revision: Revision;
}

export interface QueueReading extends CallOptions {
  /** Default true: includes everything that was acknowledged before the call. */
  readonly linearizable?: boolean;
  /** At most so many from the head; default: all. */
  readonly limit?: number;
}

/** How many stand in the queue, as one member knows it. */
export async function queueLengthOf(kv: Kv, prefix: string): Promise<number> {
  const { count } = await kv.range(prefix, { prefix: true, countOnly: true, serializable: true });
  return Number(count);
}

/** The queue now, in the order of asking. */
export async function readQueue(
  kv: Kv,
  prefix: string,
  reading: QueueReading,
): Promise<readonly QueueEntry[]> {
  const { linearizable = true, ...rest } = reading;
  const { entries } = await kv.range(prefix, { ...oldestFirst, serializable: !linearizable, ...rest });
  return entries.map(toQueueEntry);
}

/** The queue now, and after every change of it; goes on over lost connections and compaction. */
export function observeQueue(watches: Watches, prefix: string): Observable<readonly QueueEntry[]> {
  return watches.events(prefix, { prefix: true, initial: true }).pipe(
    scan((before, batch) => applyBatch(before, batch), none),
    map((entries) => [...entries.values()].sort((a, b) => (a.token < b.token ? -1 : 1))),
  );
}

const oldestFirst = { prefix: true, sort: { by: 'create', order: 'ascend' } } as const;

function toQueueEntry(entry: Entry): QueueEntry {
  const { key, value, text, lease, createRevision, modRevision } = entry;
  return { key, value, text, leaseId: lease, token: createRevision as bigint, revision: modRevision };
}

const none: ReadonlyMap<string, QueueEntry> = new Map();

function applyBatch(
  before: ReadonlyMap<string, QueueEntry>,
  batch: RevisionBatch,
): ReadonlyMap<string, QueueEntry> {
  const entries = new Map(batch.complete ? none : before);
  for (const change of batch.changes) {
    if (change.type === 'delete') {
      entries.delete(change.key);
      continue;
    }
    const { key, value, lease = 0n, createRevision: token, modRevision: revision } = change;
    const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');
    entries.set(key, { key, value, text, leaseId: lease, token: token as bigint, revision });
  }
  return entries;
}
