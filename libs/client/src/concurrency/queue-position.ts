import { filter, type Observable, tap } from 'rxjs';
import { type RevisionBatch } from '../watch/revision-batch.js';
import { type Watches } from '../watch/watches.js';

/** Those who stand before somebody in a queue, at one revision. */
export interface Ahead {
  readonly prefix: string;
  readonly keys: readonly string[];
  readonly revision: bigint;
}

/**
 * Tells how many stand before, now and whenever one of them leaves. Only for a waiter who wants to know it: everybody else
 * watches nobody but the predecessor. Emits when history has a gap, so that whoever waits looks again; otherwise never.
 */
export function queuePosition(
  watches: Watches,
  ahead: Ahead,
  onQueued: (ahead: number) => void,
): Observable<RevisionBatch> {
  const before = new Set(ahead.keys);
  onQueued(before.size);
  const fromRevision = ahead.revision + 1n;
  return watches
    .events(ahead.prefix, { prefix: true, fromRevision, filter: ['delete'], trackKeys: false })
    .pipe(
      tap((batch) => {
        const count = before.size;
        for (const change of batch.changes) before.delete(change.key);
        // The last one's leaving is told by the turn itself.
        if (before.size < count && before.size > 0 && batch.cause === 'change') onQueued(before.size);
      }),
      filter((batch) => batch.cause !== 'change'),
    );
}
