import {
  BehaviorSubject,
  distinctUntilChanged,
  type Observable,
  ReplaySubject,
  type Subscription,
} from 'rxjs';
import { pause } from '../cancellation.js';
import { type Duration } from '../duration.js';
import { ClosedError, isConclaveError, type LossReason } from '../errors.js';
import { compare, op } from '../kv/operations.js';
import { type Lease } from '../lease/lease.js';
import { type RevisionBatch } from '../watch/revision-batch.js';
import { type ServiceContext } from './context.js';
import { encodeInstance, type InstanceBody, instanceKey } from './instance.js';

export interface RegisterOptions {
  /** Default: host, process and a random number. A registration replaces an older one of the same id. */
  readonly id?: string;
  readonly address: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** How long after the last sign of life the instance is gone; default 15 s. */
  readonly ttl?: Duration;
  /** The instance is shown as unhealthy while this is false; default: always healthy. */
  readonly healthy$?: Observable<boolean>;
}

/**
 * `lost`: it registers itself again, unless the reason is `revoked` (another registration took its id) or `closed`.
 */
export type RegistrationState =
  { readonly kind: 'registered' } | { readonly kind: 'lost'; readonly reason: LossReason };

/** How an end of one life of the key is followed up. */
type End = { readonly again: boolean; readonly reason: LossReason };

/**
 * One instance in the list of a service; registers itself again when its lease or its key is lost.
 *
 * Invariant: while `lease` is set, the key was written under it by this instance; nothing is written after `stop` aborted.
 */
export class Registration implements AsyncDisposable {
  private readonly states = new ReplaySubject<RegistrationState>(1);
  /** Replays the newest; completes when it is over for good. */
  readonly state$: Observable<RegistrationState> = this.states.asObservable();
  private readonly stop = new AbortController();
  private readonly body: BehaviorSubject<InstanceBody>;
  private readonly key: string;
  private lease: Lease | undefined;
  private health: Subscription | undefined;
  private writing: Promise<void> = Promise.resolve();
  private leaving: Promise<void> | undefined;

  constructor(
    private readonly context: ServiceContext,
    service: string,
    readonly id: string,
    private readonly options: RegisterOptions,
  ) {
    this.key = instanceKey(service, id);
    const { address, metadata = {}, healthy$ } = options;
    this.body = new BehaviorSubject({ address, metadata, healthy: healthy$ === undefined });
  }

  /** Writes the key for the first time. @throws ConclaveError (rejects) when that fails; nothing is left then. */
  async begin(): Promise<this> {
    this.health = this.options.healthy$?.pipe(distinctUntilChanged()).subscribe({
      next: (healthy) => void this.change({ healthy }).catch(() => undefined),
      error: () => void this.change({ healthy: false }).catch(() => undefined),
    });
    try {
      await this.write();
    } catch (error) {
      await this.deregister();
      throw error;
    }
    this.context.open.add(this);
    void this.stay();
    return this;
  }

  /** Changes what others see. @throws ConclaveError (rejects) when the store refused; it is then told with the next change. */
  update(change: {
    readonly address?: string;
    readonly metadata?: Readonly<Record<string, string>>;
  }): Promise<void> {
    if (this.stop.signal.aborted)
      return Promise.reject(new ClosedError(`instance '${this.id}' is deregistered`));
    return this.change(change);
  }

  /** Takes the instance from the list. Idempotent; never rejects: what cannot be deleted ends with its lease. */
  deregister(): Promise<void> {
    this.leaving ??= this.leave();
    return this.leaving;
  }

  close(): Promise<void> {
    return this.deregister();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.deregister();
  }

  private change(change: Partial<InstanceBody>): Promise<void> {
    this.body.next({ ...this.body.value, ...change });
    if (this.lease === undefined) return Promise.resolve();
    this.writing = this.writing.catch(() => undefined).then(() => this.overwrite());
    return this.writing;
  }

  /** The newest content, over the own key only: it was lost, or belongs to another one, otherwise. */
  private async overwrite(): Promise<void> {
    const { lease } = this;
    if (lease === undefined || this.stop.signal.aborted) return;
    await this.context.kv
      .txn()
      .if(compare.lease(this.key).equals(lease.id))
      .do(op.put(this.key, encodeInstance(this.body.value), { lease: lease.id }))
      .commit();
  }

  private async write(): Promise<void> {
    const lease = await this.context.leases.grant({
      ttl: this.options.ttl ?? '15s',
      signal: this.stop.signal,
    });
    const content = this.body.value;
    try {
      await this.context.kv.put(this.key, encodeInstance(content), { lease: lease.id });
    } catch (error) {
      // Whatever became of the put, it does not outlive its lease.
      await lease.revoke();
      throw error;
    }
    this.lease = lease;
    this.states.next({ kind: 'registered' });
    if (this.body.value !== content) await this.change({});
  }

  /** Until it is deregistered or replaced: waits for the end of each life of the key, and begins another. */
  private async stay(): Promise<void> {
    const { clock, newBackoff } = this.context;
    while (!this.stop.signal.aborted) {
      const end = await this.ended();
      if (this.stop.signal.aborted) return;
      void this.lease?.revoke();
      this.lease = undefined;
      this.states.next({ kind: 'lost', reason: end.reason });
      if (!end.again) return void this.deregister();
      const backoff = newBackoff();
      while (!this.stop.signal.aborted && this.lease === undefined) {
        await pause(clock, backoff.next(), this.stop.signal).catch(() => undefined);
        if (!this.stop.signal.aborted) await this.write().catch(() => undefined);
      }
    }
  }

  private ended(): Promise<End> {
    const { lease } = this;
    return new Promise((resolve) => {
      if (lease === undefined) return resolve({ again: false, reason: 'closed' });
      const finish = (end: End): void => {
        watch.unsubscribe();
        this.stop.signal.removeEventListener('abort', onStop);
        lease.signal.removeEventListener('abort', onLost);
        resolve(end);
      };
      const onStop = (): void => finish({ again: false, reason: 'closed' });
      const onLost = (): void => finish({ again: true, reason: lossOf(lease) });
      const watch = this.context.watches.events(this.key, { initial: true }).subscribe({
        next: (batch) => {
          const end = endToldBy(batch, lease);
          if (end !== undefined) finish(end);
        },
        // Nobody may watch the key: then the lease alone tells its end.
        error: () => undefined,
      });
      lease.signal.addEventListener('abort', onLost, { once: true });
      this.stop.signal.addEventListener('abort', onStop, { once: true });
      if (!lease.isAlive()) onLost();
    });
  }

  private async leave(): Promise<void> {
    this.stop.abort(new ClosedError(`instance '${this.id}' is deregistered`));
    this.context.open.delete(this);
    this.health?.unsubscribe();
    await this.writing.catch(() => undefined);
    await this.lease?.revoke();
    this.states.complete();
  }
}

/** How a batch about the own key ends its life, or undefined when it does not. */
function endToldBy(batch: RevisionBatch, lease: Lease): End | undefined {
  const found = batch.changes.at(-1);
  // A list after a gap names what changed, which may be nothing.
  if (found === undefined && !batch.complete) return undefined;
  if (found?.type !== 'put') return { again: true, reason: 'key-deleted' };
  return found.lease === lease.id ? undefined : { again: false, reason: 'revoked' };
}

function lossOf(lease: Lease): LossReason {
  const reason: unknown = lease.signal.reason;
  return lease.lossReason ?? (isConclaveError(reason) ? 'lease-expired-server' : 'closed');
}
