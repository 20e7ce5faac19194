import { distinctUntilChanged, map, type Observable, scan } from 'rxjs';
import { type Value } from '../key-range.js';
import { type CallOptions } from '../kv-store.js';
import { type Entry, type LeaseId, type Revision } from '../kv/entry.js';
import { type RevisionBatch } from '../watch/revision-batch.js';
import { Acquisition, type AcquireOptions, type Target } from './acquisition.js';
import { type ConcurrencyContext } from './context.js';
import { type FencingToken } from './held.js';
import { Leadership, LeadershipKind } from './leadership.js';
import { type LockOptions } from './mutex.js';

export type ElectionOptions = Omit<LockOptions, 'value'> & {
  /** What observers see of this candidate; `campaign` may give another one. Default: the empty value. */
  readonly value?: Value;
};

export interface CampaignOptions extends AcquireOptions {
  readonly value?: Value;
}

/** A leader, or a candidate that stands in the queue. */
export interface LeaderInfo {
  readonly key: string;
  readonly value: Uint8Array;
  /** The value as UTF-8 text. */
  readonly text: string;
  readonly leaseId: LeaseId;
  /** The fencing token of this leadership. */
  readonly term: FencingToken;
  /** The revision of its last proclamation. */
  readonly revision: Revision;
}

/**
 * An election over all clients of the store. Candidates stand in one queue; the first one leads until it resigns or its
 * session ends. Compatible with `etcdctl elect` and with every client of etcd's recipe.
 */
export class Election {
  private readonly kind: LeadershipKind;

  constructor(
    private readonly context: ConcurrencyContext,
    readonly name: string,
    private readonly target: Target,
  ) {
    this.kind = new LeadershipKind(name);
  }

  /**
   * Resolves when elected. A campaign that ends otherwise always takes its key away.
   *
   * @throws LockTimeoutError when `wait` passed; CancelledError when the signal aborted; ClosedError when the client
   *   closed; LeaseExpiredError when the given session is lost (rejects).
   */
  async campaign(options: CampaignOptions = {}): Promise<Leadership> {
    const value = options.value ?? this.target.value;
    const { claim, done } = await new Acquisition(this.context, { ...this.target, value }).acquire(options);
    return new Leadership(this.context, claim, this.kind, done).begin();
  }

  /** Who leads, or null when nobody does. Linearizable unless asked otherwise. */
  async leader(options: { readonly linearizable?: boolean } & CallOptions = {}): Promise<LeaderInfo | null> {
    const { linearizable = true, ...call } = options;
    const { entries } = await this.context.kv.range(this.target.prefix, {
      ...oldestFirst,
      limit: 1,
      serializable: !linearizable,
      ...call,
    });
    const [first] = entries;
    return first === undefined ? null : toLeaderInfo(first);
  }

  /** The leader and all who wait, in the order of the queue. */
  async candidates(options: CallOptions = {}): Promise<readonly LeaderInfo[]> {
    const { entries } = await this.context.kv.range(this.target.prefix, { ...oldestFirst, ...options });
    return entries.map(toLeaderInfo);
  }

  /**
   * The leader now, then every change of the leader or of its value; null when nobody leads. Goes on over lost
   * connections and compaction; leaders that came and went during such a gap may be missed, the newest never is.
   */
  observe(): Observable<LeaderInfo | null> {
    return this.context.watches.events(this.target.prefix, { prefix: true, initial: true }).pipe(
      scan((before, batch) => applyBatch(before, batch), none),
      map((candidates) => firstOf(candidates)),
      distinctUntilChanged((a, b) => a?.key === b?.key && a?.revision === b?.revision && a?.term === b?.term),
    );
  }
}

const oldestFirst = { prefix: true, sort: { by: 'create', order: 'ascend' } } as const;

function toLeaderInfo(entry: Entry): LeaderInfo {
  const { key, value, text, lease, createRevision, modRevision } = entry;
  return { key, value, text, leaseId: lease, term: createRevision as bigint, revision: modRevision };
}

const none: ReadonlyMap<string, LeaderInfo> = new Map();

function applyBatch(
  before: ReadonlyMap<string, LeaderInfo>,
  batch: RevisionBatch,
): ReadonlyMap<string, LeaderInfo> {
  const candidates = new Map(batch.complete ? none : before);
  for (const change of batch.changes) {
    if (change.type === 'delete') {
      candidates.delete(change.key);
      continue;
    }
    const { key, value, lease = 0n, createRevision, modRevision } = change;
    const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');
    candidates.set(key, {
      key,
      value,
      text,
      leaseId: lease,
      term: createRevision as bigint,
      revision: modRevision,
    });
  }
  return candidates;
}

function firstOf(candidates: ReadonlyMap<string, LeaderInfo>): LeaderInfo | null {
  let first: LeaderInfo | null = null;
  for (const candidate of candidates.values()) {
    if (first === null || candidate.term < first.term) first = candidate;
  }
  return first;
}
