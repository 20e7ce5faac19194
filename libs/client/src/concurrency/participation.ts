import { Observable, type Subscriber, type Subscription } from 'rxjs';
import { pause } from '../cancellation.js';
import { type Duration, durationMs } from '../duration.js';
import { isConclaveError } from '../errors.js';
import { type Value } from '../key-range.js';
import { type ConcurrencyContext } from './context.js';
import { type Election, type LeaderInfo } from './election.js';
import { type Leadership } from './leadership.js';

/** Where a participant stands. `leader` is null when nobody leads. */
export type ElectionState =
  /** Not in the queue: not eligible, or cooling down after a leadership. */
  | { readonly role: 'follower'; readonly leader: LeaderInfo | null }
  | { readonly role: 'candidate'; readonly ahead: number; readonly leader: LeaderInfo | null }
  | { readonly role: 'leader'; readonly leadership: Leadership }
  /** Leads until the deadline, and no sign of life was acknowledged lately. */
  | { readonly role: 'suspect'; readonly leadership: Leadership }
  /** Still leads, and comes to its end: it waits for the work of `leadership.waitUntil`, if there is any. */
  | { readonly role: 'draining'; readonly leadership: Leadership };

export interface ParticipateOptions {
  readonly value?: Value;
  /** After a leadership ended, how long until the next campaign: this to one and a half times this; default 1 s. */
  readonly cooldown?: Duration;
  /** Candidate only while this is true (a health check, say); turning false while leading resigns. Default: always. */
  readonly eligible$?: Observable<boolean>;
  /** How long the work of a leader that is to resign may take to come to its end; default 5 s. */
  readonly drain?: Duration;
}

/** Milliseconds until the next campaign, with jitter, so that those who lost together do not come back together. */
export function cooldownMs(cooldown: Duration | undefined, random: () => number): number {
  return durationMs(cooldown ?? '1s', 'cooldown') * (1 + random() / 2);
}

/** @throws InvalidArgumentError for a cool-down or a drain that is no duration. */
export function participation(
  election: Election,
  context: ConcurrencyContext,
  options: ParticipateOptions,
): Observable<ElectionState> {
  cooldownMs(options.cooldown, context.random);
  durationMs(options.drain ?? '5s', 'drain');
  return new Observable((subscriber) => {
    const participant = new Participant(election, context, options, subscriber);
    subscriber.add(() => participant.end());
    participant.begin();
  });
}

/**
 * One subscription.
 *
 * Invariants: at most one campaign or leadership is under way; `turn` is aborted when it is to end, for good (`over`) or
 * because this participant is not eligible any more.
 */
class Participant {
  private readonly over = new AbortController();
  private turn = new AbortController();
  private leader: LeaderInfo | null = null;
  private state: ElectionState | undefined;
  private isEligible: boolean;
  private isRunning = false;
  /** From then on its own key may show as the leader's before it knows that it is elected. */
  private isCampaigning = false;
  private onEligible: () => void = () => undefined;
  private readonly subscriptions: Subscription[] = [];

  constructor(
    private readonly election: Election,
    private readonly context: ConcurrencyContext,
    private readonly options: ParticipateOptions,
    private readonly subscriber: Subscriber<ElectionState>,
  ) {
    this.isEligible = options.eligible$ === undefined;
  }

  begin(): void {
    const { eligible$ } = this.options;
    this.subscriptions.push(
      this.election.observe().subscribe({
        next: (leader) => this.onLeader(leader),
        error: (error: unknown) => this.fail(error),
        complete: () => {
          if (!this.isRunning) this.subscriber.complete();
        },
      }),
    );
    if (eligible$ === undefined) return;
    this.subscriptions.push(
      eligible$.subscribe({
        next: (isEligible) => this.onEligibility(isEligible),
        error: (error: unknown) => this.fail(error),
      }),
    );
  }

  end(): void {
    this.over.abort();
    this.turn.abort();
    this.onEligible();
    for (const subscription of this.subscriptions) subscription.unsubscribe();
  }

  private onLeader(leader: LeaderInfo | null): void {
    const { state } = this;
    const isNews = leader?.term !== this.leader?.term || leader?.revision !== this.leader?.revision;
    this.leader = leader;
    if (state === undefined) this.become({ role: 'follower', leader });
    else if (state.role === 'candidate' && isNews) this.become({ ...state, leader });
    else if (state.role === 'follower' && isNews && !this.isCampaigning) this.become({ ...state, leader });
    if (this.isRunning || this.over.signal.aborted) return;
    // Who leads is known, so the first state is right: now it begins.
    this.isRunning = true;
    this.run().catch((error: unknown) => this.fail(error));
  }

  private onEligibility(isEligible: boolean): void {
    this.isEligible = isEligible;
    if (isEligible) this.onEligible();
    else this.turn.abort();
  }

  private async run(): Promise<void> {
    while (!this.over.signal.aborted) {
      await this.untilEligible();
      this.turn = new AbortController();
      if (this.over.signal.aborted) return;
      const leadership = await this.campaign();
      if (leadership === undefined) {
        this.become({ role: 'follower', leader: this.leader });
        continue;
      }
      await this.lead(leadership);
      await pause(this.context.clock, this.rest(), this.over.signal).catch(() => undefined);
    }
  }

  private untilEligible(): Promise<void> {
    if (this.isEligible || this.over.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.onEligible = resolve;
    });
  }

  /** Undefined when the turn ended before it was elected. */
  private async campaign(): Promise<Leadership | undefined> {
    const { signal } = this.turn;
    const { value } = this.options;
    const onQueued = (ahead: number): void => {
      if (!signal.aborted) this.become({ role: 'candidate', ahead, leader: this.leader });
    };
    this.isCampaigning = true;
    try {
      return await this.election.campaign({ ...(value === undefined ? {} : { value }), signal, onQueued });
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    } finally {
      this.isCampaigning = false;
    }
  }

  /** Until the leadership is over and its key is gone, or as good as gone. */
  private async lead(leadership: Leadership): Promise<void> {
    const over = this.tellOf(leadership);
    await Promise.race([over, aborted(this.turn.signal)]);
    const { drain } = this.options;
    await leadership.resign(drain === undefined ? {} : { drain });
    await over;
  }

  /**
   * Tells the states of a leadership. Its end is told when it is decided, before the request that deletes the key is sent:
   * nobody else can be told of the next leadership before.
   */
  private tellOf(leadership: Leadership): Promise<void> {
    const { stopping } = leadership;
    const onStopping = (): void => {
      if (leadership.isHeld()) this.become({ role: 'draining', leadership });
    };
    stopping.addEventListener('abort', onStopping, { once: true });
    return new Promise((resolve) => {
      leadership.validity$.subscribe({
        next: (validity) => {
          if (validity.kind === 'lost' || stopping.aborted) return;
          const role = validity.kind === 'held' ? 'leader' : 'suspect';
          if (this.state?.role !== role) this.become({ role, leadership });
        },
        complete: () => {
          stopping.removeEventListener('abort', onStopping);
          if (this.leader?.term === leadership.term) this.leader = null;
          this.become({ role: 'follower', leader: this.leader });
          resolve();
        },
      });
    });
  }

  private rest(): number {
    return cooldownMs(this.options.cooldown, this.context.random);
  }

  private become(state: ElectionState): void {
    this.state = state;
    this.subscriber.next(state);
  }

  private fail(error: unknown): void {
    if (this.over.signal.aborted) return;
    if (isConclaveError(error) && error.code === 'closed') this.subscriber.complete();
    else this.subscriber.error(error);
  }
}

/** Of signals that live no longer than one leadership. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
