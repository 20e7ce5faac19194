import { map, type Observable } from 'rxjs';
import { type LeaseId } from '../kv/entry.js';
import { type Kv } from '../kv/kv.js';
import { type Watches } from '../watch/watches.js';
import { type FencingToken } from './fence.js';
import { observeQueue, type QueueEntry, type QueueReading, readQueue } from './queue-entries.js';

/** One place in the queue of a lock. */
export interface Waiter {
  readonly key: string;
  readonly leaseId: LeaseId;
  /** Its token when its turn comes: fixed when it queued. */
  readonly token: FencingToken;
  /** What it wrote into its key, as text; by default host and process. */
  readonly text: string;
  /** True for the first one, and for readers whom no writer precedes. */
  readonly isHolder: boolean;
}

/** Of which queue, and which keys of it are readers'. */
export interface LockQueue {
  readonly prefix: string;
  /** The prefix of readers' keys; undefined: there are none. */
  readonly readers?: string;
}

export async function readWaiters(
  kv: Kv,
  queue: LockQueue,
  reading: QueueReading,
): Promise<readonly Waiter[]> {
  return waitersOf(queue, await readQueue(kv, queue.prefix, reading));
}

export function observeWaiters(watches: Watches, queue: LockQueue): Observable<readonly Waiter[]> {
  return observeQueue(watches, queue.prefix).pipe(map((entries) => waitersOf(queue, entries)));
}

function waitersOf(queue: LockQueue, entries: readonly QueueEntry[]): readonly Waiter[] {
  const { readers } = queue;
  const isReader = (entry: QueueEntry): boolean => readers !== undefined && entry.key.startsWith(readers);
  const firstWriter = entries.findIndex((entry) => !isReader(entry));
  return entries.map((entry, at) => {
    const { key, leaseId, token, text } = entry;
    const isHolder = at === 0 || (isReader(entry) && (firstWriter === -1 || at < firstWriter));
    return { key, leaseId, token, text, isHolder };
  });
}
