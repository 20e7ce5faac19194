import { distinctUntilChanged, map, type Observable } from 'rxjs';
import { type Duration } from '../duration.js';
import { InvalidArgumentError, isConclaveError, LeadershipLostError, LeaseExpiredError } from '../errors.js';
import { type Value } from '../key-range.js';
import { type CallOptions } from '../kv-store.js';
import { type LeaseId, type Revision } from '../kv/entry.js';
import { observeHeld, tracedAcquiring } from '../telemetry/observed-holding.js';
import { Acquisition, type AcquireOptions, type Target } from './acquisition.js';
import { Claim } from './claim.js';
import { type ConcurrencyContext } from './context.js';
import { type FencingToken } from './fence.js';
import { Leadership, LeadershipKind, type LeadershipRecord } from './leadership.js';
import { LeaderTask, type RunAsLeaderOptions } from './leader-task.js';
import { type LockOptions } from './mutex.js';
import { type ElectionState, participation, type ParticipateOptions } from './participation.js';
import { observeQueue, type QueueEntry, queueLengthOf, readQueue } from './queue-entries.js';
import { Session } from './session.js';

export type ElectionOptions = Omit<LockOptions, 'value'> & {
  /** What observers see of this candidate; `campaign` may give another one. Default: the host and the process. */
  readonly value?: Value;
};

export interface CampaignOptions extends AcquireOptions {
  readonly value?: Value;
}

export interface ResumeOptions {
  readonly margin?: Duration;
  readonly signal?: AbortSignal;
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
    const { clock, kv, host } = this.context;
    const queueLength = () => queueLengthOf(kv, this.target.prefix);
    const acquiring = { span: 'conclave.campaign', name: this.name, clock, queueLength } as const;
    const acquired = await tracedAcquiring(host.telemetry, acquiring, () =>
      new Acquisition(this.context, { ...this.target, value }).acquire(options),
    );
    return this.begun(acquired.claim, acquired.done);
  }

  /**
   * Takes part until unsubscribed, and tells every state in order: `leader` and the end of it alternate, each leadership
   * once. Campaigns again after each end, with a cool-down. Unsubscribing drains, then resigns.
   *
   * Errors with what {@link campaign} rejects with when going on is pointless, or with the error of `eligible$`; completes
   * when the client closes. @throws InvalidArgumentError for a cool-down or a drain that is no duration.
   */
  participate(options: ParticipateOptions = {}): Observable<ElectionState> {
    return participation(this, this.context, options);
  }

  /**
   * Runs the function whenever this process leads, never twice at once, until it returns. It should end what it does when
   * `leadership.stopping` aborts. The key is deleted only after it has settled, or when the drain or the local deadline is over.
   *
   * @throws what the function throws; LeadershipLostError with `onLost: 'throw'`; CancelledError when the signal aborted;
   *   what {@link campaign} rejects with; InvalidArgumentError (rejects).
   */
  async runAsLeader(
    fn: (leadership: Leadership) => Promise<void>,
    options: RunAsLeaderOptions = {},
  ): Promise<void> {
    return new LeaderTask(this, this.context, fn, options, this.target.marginMs).run();
  }

  /**
   * Takes up the leadership that an earlier life of this process recorded. Two processes must never resume the same record:
   * they would both lead.
   *
   * @throws LeadershipLostError (rejects) when its lease or its key is gone; InvalidArgumentError for one of another election.
   */
  async resume(record: LeadershipRecord, options: ResumeOptions = {}): Promise<Leadership> {
    const { leaseId, key, token } = record;
    const { prefix, blockers, value, cession } = this.target;
    if (!key.startsWith(prefix)) {
      throw new InvalidArgumentError(`record: ${key} is no key of ${this.target.what}, which has ${prefix}`);
    }
    const stop = options.signal ?? this.context.closing;
    // Looked at before the lease is touched: a record that is out of date must not keep somebody's lease alive.
    const found = await this.context.kv.get(key, { signal: stop });
    if (found?.createRevision !== token || found.lease !== leaseId) throw this.gone(key);
    const session = await this.adopted(record, { ...options, signal: stop });
    try {
      const contention = { prefix, blockers, key, value, cession };
      const claim = await Claim.resumed(this.context, session, contention, token, stop);
      return this.begun(claim, () => session.unuse());
    } catch (error) {
      session.unuse();
      throw error instanceof LeaseExpiredError ? this.gone(key) : error;
    }
  }

  private begun(claim: Claim, done: () => void): Leadership {
    const leadership = new Leadership(this.context, claim, this.target, this.kind, done).begin();
    const holding = { kind: 'leadership', name: this.name } as const;
    observeHeld(this.context.host.telemetry, leadership, holding, false);
    return leadership;
  }

  /** A session for this one use, which ends with it. */
  private async adopted(record: LeadershipRecord, options: ResumeOptions): Promise<Session> {
    try {
      const session = new Session(await this.context.leases.adopt(record.leaseId, options));
      session.use();
      session.retire();
      return session;
    } catch (error) {
      throw isConclaveError(error) && error.code === 'lease-not-found' ? this.gone(record.key) : error;
    }
  }

  /** Who leads, or null when nobody does. Linearizable unless asked otherwise. */
  async leader(options: { readonly linearizable?: boolean } & CallOptions = {}): Promise<LeaderInfo | null> {
    const [first] = await readQueue(this.context.kv, this.target.prefix, { ...options, limit: 1 });
    return first === undefined ? null : toLeaderInfo(first);
  }

  /** The leader and all who wait, in the order of the queue. */
  async candidates(options: CallOptions = {}): Promise<readonly LeaderInfo[]> {
    return (await readQueue(this.context.kv, this.target.prefix, options)).map(toLeaderInfo);
  }

  /**
   * The leader now, then every change of the leader or of its value; null when nobody leads. Goes on over lost
   * connections and compaction; leaders that came and went during such a gap may be missed, the newest never is.
   */
  observe(): Observable<LeaderInfo | null> {
    return observeQueue(this.context.watches, this.target.prefix).pipe(
      map(([first]) => (first === undefined ? null : toLeaderInfo(first))),
      distinctUntilChanged((a, b) => a?.key === b?.key && a?.revision === b?.revision && a?.term === b?.term),
    );
  }

  private gone(key: string): LeadershipLostError {
    return new LeadershipLostError(`${this.kind.what} with ${key} has ended`, 'lease-expired-server');
  }
}

function toLeaderInfo(entry: QueueEntry): LeaderInfo {
  const { key, value, text, leaseId, token, revision } = entry;
  return { key, value, text, leaseId, term: token, revision };
}
