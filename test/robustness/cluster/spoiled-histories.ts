import { type History, type Operation, type SeenEvent, type WatchLog } from '../history/operation.js';

/** A history of a real run, changed as a bug would have changed it, and what the checker must say of it. */
export interface SpoiledHistory {
  readonly bug: string;
  readonly finding: RegExp;
  readonly history: History;
}

/** @throws Error when the run was too short to have what is to be spoiled. */
export function spoil(history: History): SpoiledHistory[] {
  return [
    lostWrite(history),
    lostEnd(history),
    staleRead(history),
    doubledWrite(history),
    earlyEnd(history),
    ...hops(history),
    strayMember(history),
  ];
}

type Done = Operation & { readonly outcome: { readonly kind: 'done' } };

function isDone(operation: Operation): operation is Done {
  return operation.outcome.kind === 'done';
}

function need<T>(found: T | undefined, what: string): T {
  if (found === undefined) throw new Error(`the history has no ${what}`);
  return found;
}

/** An acknowledged put is not there; revisions after it are one lower, as if the leader had never had it. */
function lostWrite(history: History): SpoiledHistory {
  const puts = history.operations.filter(
    (operation) => operation.request.kind === 'put' && isDone(operation),
  );
  const { id } = need(puts[Math.floor(puts.length / 2)], 'acknowledged put');
  const at = history.log.findIndex(({ writer }) => writer === id);
  const lost = history.log[at].modRevision;
  const log = history.log
    .filter(({ modRevision }) => modRevision !== lost)
    .map((event) => (event.modRevision < lost ? event : { ...event, modRevision: event.modRevision - 1 }));
  return {
    bug: 'a new leader lacks an acknowledged write',
    finding: /acknowledged at revision/,
    history: { ...history, log },
  };
}

/** The last tenth of the log is gone, as after a majority forgot it. */
function lostEnd(history: History): SpoiledHistory {
  const log = history.log.slice(0, Math.floor(history.log.length * 0.9));
  return {
    bug: 'a majority forgets what it acknowledged',
    finding: /which is not in the log/,
    history: { ...history, log },
  };
}

/** A linearizable read of a member that lags: the state as it was before a write that had been acknowledged. */
function staleRead(history: History): SpoiledHistory {
  const { operations } = history;
  const isRead = ({ request }: Operation): boolean => request.kind === 'read' && request.isLocal !== true;
  for (const read of operations) {
    if (!isRead(read) || !isDone(read) || read.outcome.revision < 10) continue;
    const { request } = read;
    if (request.kind !== 'read') continue;
    const earlier = operations.find(
      (other) =>
        isDone(other) &&
        other.answeredAt < read.calledAt &&
        other.request.kind === 'read' &&
        other.request.key === request.key &&
        operations.some(
          (between) =>
            isDone(between) &&
            between.answeredAt < read.calledAt &&
            between.outcome.revision > (other.outcome as Done['outcome'] & { revision: number }).revision,
        ),
    );
    if (earlier === undefined) continue;
    const stale = { ...read, outcome: earlier.outcome };
    return {
      bug: 'a follower answers a linearizable read from its own past',
      finding: new RegExp(`${read.id} has revision \\d+, although`),
      history: { ...history, operations: operations.map((other) => (other === read ? stale : other)) },
    };
  }
  throw new Error('the history has no read that could be stale');
}

/** A forwarded put that is proposed twice. */
function doubledWrite(history: History): SpoiledHistory {
  const last = need(history.log.at(-1), 'event').modRevision;
  const put = need(
    history.log.find(({ kind, lease }) => kind === 'put' && lease === 0n),
    'put',
  );
  const again: SeenEvent = { ...put, modRevision: last + 1, version: put.version + 1 };
  return {
    bug: 'a forwarded write takes place twice',
    finding: /took place twice/,
    history: { ...history, log: [...history.log, again] },
  };
}

/** A new leader that starts the clock of a lease too late, so that it ends when it was just renewed. */
function earlyEnd(history: History): SpoiledHistory {
  const granted = need(
    history.operations.find(({ request, outcome }) => request.kind === 'grant' && outcome.kind === 'done'),
    'lease',
  );
  const lease = granted.request.kind === 'grant' ? granted.request.lease : 0n;
  const renewal: Operation = {
    ...granted,
    id: 'planted',
    calledAt: granted.answeredAt + 0.1,
    answeredAt: granted.answeredAt + 0.2,
    request: { kind: 'renew', lease },
    outcome: { kind: 'done', revision: 1, ttlSeconds: 0 },
  };
  return {
    bug: 'a lease is gone before its time',
    finding: /planted was told that lease \d+ is gone/,
    history: { ...history, operations: [...history.operations, renewal] },
  };
}

/** Watchers that change members. */
function hops(history: History): SpoiledHistory[] {
  const [watch, ...others] = history.watches;
  const middle = Math.floor(watch.events.length / 2);
  const told = (events: readonly SeenEvent[]): WatchLog => ({
    name: watch.name,
    from: watch.from,
    matches: watch.matches,
    events,
  });
  const [before, event, after] = [
    watch.events.slice(0, middle),
    watch.events[middle],
    watch.events.slice(middle + 1),
  ];
  const finding = new RegExp(`watcher ${watch.name} was told`);
  return [
    {
      bug: 'a watcher misses an event when it changes members',
      finding,
      history: { ...history, watches: [told([...before, ...after]), ...others] },
    },
    {
      bug: 'a watcher is told an event again when it changes members',
      finding,
      history: { ...history, watches: [told([...before, event, event, ...after]), ...others] },
    },
  ];
}

/** One member has another value than the others. */
function strayMember(history: History): SpoiledHistory {
  const place = history.snapshots.findIndex(({ keys }) => keys.length > 0);
  const snapshot = need(history.snapshots[place], 'snapshot with keys');
  const [first, ...rest] = snapshot.keys;
  const stray = { ...snapshot, keys: [{ ...first, writer: 'nobody' }, ...rest] };
  return {
    bug: 'a member has other content',
    finding: /all keys at revision \d+, read/,
    history: {
      ...history,
      snapshots: history.snapshots.map((other) => (other === snapshot ? stray : other)),
    },
  };
}
