import { type etcdserverpb, GrpcStatus } from '@conclave/protocol';
import { BehaviorSubject, type Observable } from 'rxjs';
import { Backoff, type BackoffOptions } from '../backoff.js';
import { abortable, pause } from '../cancellation.js';
import { type Failure } from '../error-mapping.js';
import { ClosedError, UnavailableError } from '../errors.js';
import { type Runtime } from '../runtime.js';
import { type TlsOptions, TransportError, type TransportFactory } from '../transport.js';
import { type ConnectionState } from './connection-state.js';
import { Endpoints } from './endpoints.js';
import { Link } from './link.js';
import { StoreIdentity } from './store-identity.js';

export interface ConnectionOptions {
  readonly endpoints: readonly string[] | Observable<readonly string[]>;
  readonly transports: TransportFactory;
  readonly runtime: Runtime;
  readonly backoff: BackoffOptions;
  /** How long one member may take to answer the first question, in milliseconds. */
  readonly dialTimeoutMs: number;
  readonly keepalive: { readonly timeMs: number; readonly timeoutMs: number };
  readonly tls?: TlsOptions;
  readonly metadata: Readonly<Record<string, string>>;
}

type DialResult =
  | {
      readonly kind: 'usable' | 'leaderless' | 'foreign';
      readonly link: Link;
      readonly status: etcdserverpb.StatusResponse;
    }
  | { readonly kind: 'failed'; readonly error: Error };

/**
 * The client's way to the cluster: at most one link to one member at a time. It dials on first use, and again whenever
 * the link fails: every endpoint once per round, with a jittered pause before each round after the first.
 *
 * Invariants: `dialing` is set exactly while there is no link and the connection is wanted; a link in use belongs to
 * the cluster of `identity`.
 */
export class Connection {
  readonly identity = new StoreIdentity();
  private readonly endpoints: Endpoints;
  private readonly backoff: Backoff;
  private readonly states = new BehaviorSubject<ConnectionState>({ kind: 'idle' });
  readonly state$: Observable<ConnectionState> = this.states.asObservable();
  private readonly stop = new AbortController();
  private link: Link | undefined;
  private dialing: Promise<Link> | undefined;
  private checking = false;
  private lastError: Error = new UnavailableError('no endpoint was tried yet');
  private listChanged: (() => void) | undefined;

  constructor(private readonly options: ConnectionOptions) {
    this.backoff = new Backoff(options.backoff, options.runtime.random);
    this.endpoints = new Endpoints(options.endpoints, options.runtime.random, () => this.onListChanged());
  }

  /** Why the last attempt to connect failed. */
  get failure(): Error {
    return this.lastError;
  }

  /** The link in use, or the next one. @throws ClosedError, CancelledError (rejects). */
  acquire(signal?: AbortSignal): Promise<Link> {
    if (this.stop.signal.aborted) return Promise.reject(new ClosedError());
    if (this.link !== undefined) return Promise.resolve(this.link);
    if (this.dialing === undefined) {
      const dialing = this.dial();
      // Waiters see the outcome; without a waiter nobody has to.
      dialing.catch(() => undefined);
      this.dialing = dialing;
    }
    return abortable(this.dialing, signal);
  }

  /** The link in use now, if there is one. */
  current(): Link | undefined {
    return this.link;
  }

  /** Tells what a failed call or stream means for the link that it ran on. */
  report(link: Link, failure: Failure): void {
    if (link !== this.link) return;
    switch (failure.member) {
      case 'fine':
        return;
      case 'lost':
        return this.drop(link, failure.error);
      case 'unable':
        if (this.endpoints.size > 1) this.drop(link, failure.error);
        return;
      case 'silent':
        return this.check(link);
    }
  }

  /** Asks the member of the link for a sign of life; without one the link is dropped. */
  check(link: Link): void {
    if (link !== this.link || this.checking) return;
    this.checking = true;
    link
      .probe(this.options.dialTimeoutMs)
      .then(
        () => undefined,
        (error: Error) => this.drop(link, error),
      )
      .finally(() => {
        this.checking = false;
      });
  }

  /** Gives up the link and looks for another member. Its unary calls may finish. */
  drop(link: Link, error: Error): void {
    if (link !== this.link) return;
    this.link = undefined;
    this.lastError = error;
    this.states.next({ kind: 'suspended', since: this.options.runtime.clock.wall(), lastError: error });
    link.retire();
    if (!this.stop.signal.aborted) void this.acquire().catch(() => undefined);
  }

  close(): void {
    if (this.stop.signal.aborted) return;
    this.stop.abort(new ClosedError());
    this.endpoints.stop();
    this.listChanged?.();
    const { link } = this;
    this.link = undefined;
    link?.close();
    this.states.next({ kind: 'closed' });
    this.states.complete();
    this.identity.close();
  }

  private async dial(): Promise<Link> {
    this.endpoints.start();
    const suspended = this.states.value.kind === 'suspended';
    for (let round = 0; ; round += 1) {
      // After a loss even the first round waits a little: all clients of a member lose it at the same moment.
      if (round > 0 || suspended) await this.waitForRound(suspended);
      if (this.stop.signal.aborted) throw new ClosedError();
      if (!suspended) this.states.next({ kind: 'connecting', attempt: round + 1 });
      if (this.endpoints.size === 0) await this.waitForList();
      const connected = await this.tryRound();
      if (connected !== undefined) return this.use(connected);
    }
  }

  private async waitForRound(suspended: boolean): Promise<void> {
    const { clock } = this.options.runtime;
    const delayMs = this.backoff.next();
    if (!suspended) {
      const attempt = this.backoff.attempt + 1;
      this.states.next({ kind: 'connecting', attempt, nextRetryAt: clock.wall() + delayMs });
    }
    await pause(clock, delayMs, this.stop.signal);
  }

  private waitForList(): Promise<void> {
    return new Promise((resolve) => {
      this.listChanged = resolve;
      if (this.stop.signal.aborted) resolve();
    });
  }

  /**
   * Every endpoint once. A member without a leader is taken only when no other one is better. Members of another cluster
   * are taken only when no member of the known cluster answered in the whole round: then the store was replaced.
   */
  private async tryRound(): Promise<Exclude<DialResult, { kind: 'failed' }> | undefined> {
    let second: Exclude<DialResult, { kind: 'failed' }> | undefined;
    for (const endpoint of this.endpoints.round()) {
      const result = await this.dialOne(endpoint);
      if (this.stop.signal.aborted) {
        if (result.kind !== 'failed') result.link.close();
        second?.link.close();
        throw new ClosedError();
      }
      if (result.kind === 'failed') {
        this.lastError = result.error;
      } else if (result.kind === 'usable') {
        second?.link.close();
        return result;
      } else if (second === undefined || (second.kind === 'foreign' && result.kind === 'leaderless')) {
        second?.link.close();
        second = result;
      } else {
        result.link.close();
      }
    }
    return second;
  }

  private async dialOne(endpoint: string): Promise<DialResult> {
    const { transports, keepalive, tls, metadata, dialTimeoutMs } = this.options;
    let made: Link | undefined;
    const onLost = (error: Error): void => {
      if (made !== undefined) this.drop(made, error);
    };
    try {
      const security = tls === undefined ? {} : { tls };
      const link = new Link(endpoint, transports, { keepalive, onLost, ...security }, metadata);
      made = link;
      const status = await link.probe(dialTimeoutMs);
      const clusterId = status.header?.cluster_id ?? 0n;
      if (!this.identity.matches(clusterId)) return { kind: 'foreign', link, status };
      return { kind: status.leader === 0n ? 'leaderless' : 'usable', link, status };
    } catch (caught) {
      made?.close();
      const error =
        caught instanceof Error ? caught : new TransportError(GrpcStatus.Unknown, String(caught), true);
      return { kind: 'failed', error };
    }
  }

  private use(result: Exclude<DialResult, { kind: 'failed' }>): Link {
    const { link, status } = result;
    const clusterId = status.header?.cluster_id ?? 0n;
    this.link = link;
    this.dialing = undefined;
    this.endpoints.taken(link.endpoint);
    // A member without a leader is no success yet: the next rounds go on waiting longer.
    if (result.kind === 'usable') this.backoff.reset();
    if (result.kind === 'foreign') this.identity.adopt(clusterId, 0n);
    // The revision of a status is the member's own and may lag, so it only ever raises what was seen.
    else this.identity.admit(status.header, { ...this.identity.mark(), revision: 0n });
    const revision = status.header?.revision ?? 0n;
    this.states.next({
      kind: 'connected',
      endpoint: link.endpoint,
      clusterId,
      revision,
      raftTerm: status.raftTerm,
    });
    return link;
  }

  private onListChanged(): void {
    this.listChanged?.();
    this.listChanged = undefined;
    const link = this.link;
    if (link !== undefined && !this.endpoints.includes(link.endpoint)) {
      this.drop(link, new UnavailableError(`${link.endpoint} is no longer in the list of endpoints`));
    }
  }
}
