import { type Duration, durationMs } from '../duration.js';
import { ConclaveError, InvalidArgumentError } from '../errors.js';
import { type ClientWarning, type Host, nodeHost } from '../host.js';
import { type KeyNamespace } from '../key-range.js';
import { type CallOptions, type KvStore } from '../kv-store.js';
import { type LeaseId } from '../kv/entry.js';
import { type Clock } from '../runtime.js';
import { readTtl } from './adoption.js';
import { Lease } from './lease.js';
import { LeaseTerm, type Stamp, stampOf } from './lease-term.js';

export interface LeaseOptions {
  /** Default 15 s. Servers count in seconds and raise a TTL to about two: less than 2 s is refused. */
  readonly ttl?: Duration;
  /** How long before the server this process stops believing; default: 500 ms or 10 % of the TTL, whichever is more. */
  readonly margin?: Duration;
}

export interface LeaseInfo {
  readonly id: LeaseId;
  /** Whole seconds left; -1n: there is no such lease. */
  readonly remainingSeconds: bigint;
  readonly grantedSeconds: bigint;
  /** The keys bound to it, when asked for; without the client's key prefix. */
  readonly keys: readonly string[];
}

const keepAliveDelay = 'conclave_client_keepalive_delay_seconds';
const defaultTtlMs = 15_000;
const leastTtlMs = 2_000;
/** etcd refuses more. */
const greatestTtlMs = 9e12;

function defaultMarginMs(ttlMs: number): number {
  return Math.max(500, ttlMs / 10);
}

/** TTL and margin in milliseconds. @throws InvalidArgumentError when they leave no time to hold anything. */
export function leaseTimes(options: LeaseOptions): { readonly ttlMs: number; readonly marginMs: number } {
  const ttlMs = durationMs(options.ttl ?? defaultTtlMs, 'ttl');
  if (ttlMs < leastTtlMs || ttlMs > greatestTtlMs) {
    throw new InvalidArgumentError(
      `ttl: ${ttlMs} ms is outside ${leastTtlMs} ms to ${greatestTtlMs} ms; the default is 15s`,
    );
  }
  const marginMs = durationMs(options.margin ?? defaultMarginMs(ttlMs), 'margin');
  if (marginMs >= ttlMs / 2) {
    throw new InvalidArgumentError(
      `margin: ${marginMs} ms is half of the ttl of ${ttlMs} ms or more; the default is 10 % of it, at least 500ms`,
    );
  }
  return { ttlMs, marginMs };
}

function starvation(leaseId: LeaseId, ttlMs: number, delayMs: number): ClientWarning {
  const late = `a keep-alive of lease ${leaseId.toString(16)} was sent ${Math.round(delayMs)} ms late`;
  const remedy = 'divide long computations, move them to a worker thread, or take a longer ttl';
  return {
    code: 'keepalive-starved',
    message: `${late} (ttl ${ttlMs} ms): the event loop was blocked; ${remedy}`,
    leaseId,
    delayMs,
  };
}

/** Leases: keys bound to one live as long as it is kept alive. */
export class Leases {
  private readonly alive = new Set<Lease>();

  constructor(
    private readonly store: KvStore,
    private readonly names: KeyNamespace,
    private readonly clock: Clock,
    private readonly host: Host = nodeHost,
  ) {}

  /** Grants a lease and keeps it alive until it is revoked or lost. */
  async grant(options: LeaseOptions & CallOptions = {}): Promise<Lease> {
    const { ttlMs, marginMs } = leaseTimes(options);
    const sent = stampOf(this.clock);
    const answer = await this.store.leaseGrant({ TTL: BigInt(Math.ceil(ttlMs / 1_000)), ID: 0n }, options);
    // Retries inside the call make `sent` earlier than the request that was answered: that only shortens the first term.
    return this.keepAlive(answer.ID, marginMs, sent, answer.TTL);
  }

  /**
   * Takes up a lease that another process, or this one in an earlier life, was granted, and keeps it alive from now on.
   *
   * @throws ConclaveError (rejects) with code `lease-not-found` when it has ended.
   */
  async adopt(id: LeaseId, options: Pick<LeaseOptions, 'margin'> & CallOptions = {}): Promise<Lease> {
    const sent = stampOf(this.clock);
    const ttlSeconds = await readTtl(this.store, this.clock, id, options);
    if (ttlSeconds <= 0n) {
      throw new ConclaveError('lease-not-found', `lease ${id.toString(16)} has ended`, false);
    }
    const ttlMs = Number(ttlSeconds) * 1_000;
    const { marginMs } = leaseTimes({ ttl: ttlMs, margin: options.margin ?? defaultMarginMs(ttlMs) });
    return this.keepAlive(id, marginMs, sent, ttlSeconds);
  }

  /** Grants a lease that nobody keeps alive: what is bound to it goes when the TTL has passed. */
  async grantOnce(ttl: Duration, options: CallOptions = {}): Promise<LeaseId> {
    const seconds = BigInt(Math.ceil(leaseTimes({ ttl }).ttlMs / 1_000));
    return (await this.store.leaseGrant({ TTL: seconds, ID: 0n }, options)).ID;
  }

  private keepAlive(id: LeaseId, marginMs: number, sent: Stamp, ttlSeconds: bigint): Lease {
    const term = new LeaseTerm(this.clock, marginMs, sent, Number(ttlSeconds) * 1_000);
    const lease = new Lease(this.store, this.clock, id, term, {
      ended: (ended) => this.onEnded(ended),
      sent: (delayMs) =>
        this.host.telemetry?.meter?.measure(keepAliveDelay, {}, Math.max(0, delayMs) / 1_000),
      starved: (delayMs) => this.host.warn(starvation(id, term.grantedMs, delayMs)),
    });
    if (lease.isAlive()) this.alive.add(lease);
    return lease;
  }

  private onEnded(lease: Lease): void {
    this.alive.delete(lease);
    const reason = lease.lossReason ?? 'closed';
    if (reason === 'closed') return;
    const { telemetry } = this.host;
    telemetry?.meter?.count('conclave_client_losses_total', { kind: 'lease', reason });
    telemetry?.logger?.warn(`lease ${lease.id.toString(16)} is lost: ${reason}`, {
      lease: lease.id.toString(16),
      reason,
    });
  }

  /** @throws ConclaveError (rejects) with code `lease-not-found`. */
  async revoke(id: LeaseId, options?: CallOptions): Promise<void> {
    await this.store.leaseRevoke({ ID: id }, options);
  }

  async timeToLive(id: LeaseId, options: { readonly keys?: boolean } & CallOptions = {}): Promise<LeaseInfo> {
    const answer = await this.store.leaseTimeToLive({ ID: id, keys: options.keys ?? false }, options);
    return {
      id: answer.ID,
      remainingSeconds: answer.TTL,
      grantedSeconds: answer.grantedTTL,
      keys: answer.keys.map((key) => this.names.strip(key).toString('utf8')),
    };
  }

  async list(options?: CallOptions): Promise<readonly LeaseId[]> {
    const answer = await this.store.leaseLeases(options);
    return answer.leases.map((lease) => lease.ID);
  }

  /** Revokes every lease that was granted here. */
  async close(): Promise<void> {
    await Promise.all([...this.alive].map((lease) => lease.revoke()));
  }
}
