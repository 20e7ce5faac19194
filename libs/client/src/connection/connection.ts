import { BehaviorSubject, type Observable } from 'rxjs';
import { Backoff, type BackoffOptions } from '../backoff.js';
import { abortable, pause } from '../cancellation.js';
import { type Failure } from '../error-mapping.js';
import { ClosedError, UnavailableError } from '../errors.js';
import { type Runtime } from '../runtime.js';
import { type ConnectionState } from './connection-state.js';
import { type Dialled, Dialer, type DialerOptions, isBetter } from './dialer.js';
import { type DiscoveredMembers, Endpoints } from './endpoints.js';
import { type Link } from './link.js';
import { StoreIdentity } from './store-identity.js';

export interface ConnectionOptions extends DialerOptions {
  readonly endpoints: readonly string[] | Observable<readonly string[]>;
  readonly runtime: Runtime;
  readonly backoff: BackoffOptions;
}

/**
 * The client's way to the cluster: at most one link to one member at a time. It dials on first use, and again whenever
 * the link fails: every endpoint once per round, in random order, with a jittered pause before each round after the first.
 *
 * Invariants: `dialing` is set exactly while there is no link and the connection is wanted; a link in use belongs to
 * the cluster of `identity`.
 */
export class Connection {
  readonly identity = new StoreIdentity();
  /** Makes the connections of this client. */
  readonly dialer: Dialer;
  private readonly endpoints: Endpoints;
  private readonly backoff: Backoff;
  private readonly states = new BehaviorSubject<ConnectionState>({ kind: 'idle' });
  readonly state$: Observable<ConnectionState> = this.states.asObservable();
  private readonly stop = new AbortController();
  private link: Link | undefined;
  /** 0n while there is no link, or when its member has not said it. */
  private memberId = 0n;
  private dialing: Promise<Link> | undefined;
  private checking = false;
  private lastError: Error = new UnavailableError('no endpoint was tried yet');
  private listChanged: (() => void) | undefined;

  constructor(private readonly options: ConnectionOptions) {
    this.dialer = new Dialer(options);
    this.backoff = new Backoff(options.backoff, options.runtime.random);
    this.endpoints = new Endpoints(options.endpoints, options.runtime.random, () => this.onListChanged());
  }

  /** The addresses in use now, and each change of them. */
  get endpoints$(): Observable<readonly string[]> {
    return this.endpoints.list$;
  }

  /** The members that the cluster has now: others are used no longer. */
  discover(members: DiscoveredMembers): void {
    if (!this.stop.signal.aborted) this.endpoints.discover(members);
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
    this.dialer
      .probe(link)
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
    this.endpoints.failed(link.endpoint);
    this.states.next({ kind: 'suspended', since: this.options.runtime.clock.wall(), lastError: error });
    link.retire();
    if (!this.stop.signal.aborted) void this.acquire().catch(() => undefined);
  }

  close(): void {
    if (this.stop.signal.aborted) return;
    this.stop.abort(new ClosedError());
    this.endpoints.stop();
    this.options.tls.stop();
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
      if (!suspended)
        this.states.next({ kind: 'connecting', attempt: round + 1, ...this.failureAfter(round) });
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
      const nextRetryAt = clock.wall() + delayMs;
      this.states.next({ kind: 'connecting', attempt, nextRetryAt, lastError: this.lastError });
    }
    await pause(clock, delayMs, this.stop.signal);
  }

  private failureAfter(rounds: number): { readonly lastError?: Error } {
    return rounds === 0 ? {} : { lastError: this.lastError };
  }

  private waitForList(): Promise<void> {
    return new Promise((resolve) => {
      this.listChanged = resolve;
      if (this.stop.signal.aborted) resolve();
    });
  }

  /**
   * Every endpoint once. A member without a leader, or without a vote, is taken only when no other one is better. Members
   * of another cluster are taken only when no member of the known cluster answered in the whole round: then the store was
   * replaced.
   */
  private async tryRound(): Promise<Dialled | undefined> {
    let best: Dialled | undefined;
    for (const endpoint of this.endpoints.round()) {
      const dialled = await this.dialOne(endpoint);
      if (this.stop.signal.aborted) {
        dialled?.link.close();
        best?.link.close();
        throw new ClosedError();
      }
      if (dialled === undefined) continue;
      if (isBetter(dialled, best)) {
        best?.link.close();
        best = dialled;
      } else {
        dialled.link.close();
      }
      if (best?.kind === 'usable') return best;
    }
    return best;
  }

  private async dialOne(endpoint: string): Promise<Dialled | undefined> {
    try {
      return await this.dialer.dial(endpoint, this.identity, (link, error) => this.drop(link, error));
    } catch (error) {
      this.lastError = error as Error;
      return undefined;
    }
  }

  private use(dialled: Dialled): Link {
    const { link, status, kind } = dialled;
    const clusterId = status?.header?.cluster_id ?? 0n;
    this.link = link;
    this.memberId = status?.header?.member_id ?? 0n;
    this.dialing = undefined;
    // A member without a leader is no success yet: the next rounds go on waiting longer.
    if (kind === 'usable') this.backoff.reset();
    if (kind === 'foreign') this.identity.adopt(clusterId, 0n);
    // The revision of a status is the member's own and may lag, so it only ever raises what was seen.
    else this.identity.admit(status?.header, { ...this.identity.mark(), revision: 0n });
    this.states.next({
      kind: 'connected',
      endpoint: link.endpoint,
      clusterId,
      revision: status?.header?.revision ?? 0n,
      raftTerm: status?.raftTerm ?? 0n,
    });
    return link;
  }

  private onListChanged(): void {
    this.listChanged?.();
    this.listChanged = undefined;
    const link = this.link;
    if (link !== undefined && !this.endpoints.includes(link.endpoint, this.memberId)) {
      this.drop(link, new UnavailableError(`${link.endpoint} is no longer in the list of endpoints`));
    }
  }
}
