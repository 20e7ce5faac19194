import { type Subscription } from 'rxjs';
import { type ConclaveClient } from '../../client.js';
import { type LeaderInfo } from '../../concurrency/election.js';
import { type Leadership } from '../../concurrency/leadership.js';
import { type ElectionState } from '../../concurrency/participation.js';
import { type Timer } from '../../runtime.js';
import { logFailure } from '../methods/log-failure.js';
import { type RoleOptions } from '../module/options.js';
import { RoleListener, type RoleSurroundings } from './role-listener.js';

/** After a participation has failed (no permission, say), how long until the next one, in milliseconds. */
const failureRestMs = 5_000;

/**
 * The part of one application in one election: it takes part from the start of the application to its end.
 *
 * Invariants: there is at most one participation at a time, and none begins after `drain`; `current` is the leadership between the
 * states of the participation that tell its beginning and its end.
 */
export class LeaderRole {
  private participation: Subscription | undefined;
  private retry: Timer | undefined;
  private current: Leadership | undefined;
  private known: LeaderInfo | null = null;
  private isOver = false;
  private resigning: Promise<void> = Promise.resolve();
  private readonly listeners = new Map<object, RoleListener>();
  private letGo: () => void = () => undefined;
  private readonly mayGo = new Promise<void>((resolve) => {
    this.letGo = resolve;
  });

  constructor(
    private readonly client: ConclaveClient,
    readonly election: string,
    private readonly options: RoleOptions,
    private readonly surroundings: RoleSurroundings,
  ) {}

  /** While it leads, by the clock, and is not about to end. */
  get leadership(): Leadership | undefined {
    const { current } = this;
    return current === undefined || current.stopping.aborted || !current.isHeld() ? undefined : current;
  }

  /** True when its participation still takes it for the leader, and the clock does not: its event loop stood still. */
  get isOverdue(): boolean {
    return this.current !== undefined && !this.current.isHeld();
  }

  /** What the leader that was last seen proclaims; null when nobody else is known to lead. */
  get leader(): string | null {
    return this.known?.text ?? null;
  }

  listener(instance: object): RoleListener {
    let listener = this.listeners.get(instance);
    if (listener === undefined) {
      listener = new RoleListener(instance, this.election, this.surroundings);
      this.listeners.set(instance, listener);
    }
    return listener;
  }

  /** Takes part from now on. */
  begin(): void {
    if (this.isOver || this.participation !== undefined) return;
    const { ttl, cooldown, advertiseUrl } = this.options;
    const election = this.client.elections.election(this.election, ttl === undefined ? {} : { ttl });
    const drain = this.surroundings.drainMs;
    const states = election.participate({
      drain,
      ...(cooldown === undefined ? {} : { cooldown }),
      ...(typeof advertiseUrl === 'string' ? { value: advertiseUrl } : {}),
    });
    this.participation = states.subscribe({
      next: (state) => this.onState(state),
      error: (error: unknown) => this.onFailure(error),
    });
  }

  /** Tells the work of the leader to end. The key stays until `end`, or until the drain or the local deadline is over. */
  drain(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.retry?.cancel();
    if (this.current === undefined) return this.participation?.unsubscribe();
    this.current.waitUntil(this.mayGo);
    this.resigning = this.current.resign({ drain: this.surroundings.drainMs });
  }

  /** Resigns, and resolves when every handler was told. */
  async end(): Promise<void> {
    this.drain();
    this.letGo();
    await this.resigning;
    this.participation?.unsubscribe();
    await Promise.all([...this.listeners.values()].map((listener) => listener.settled()));
  }

  private onState(state: ElectionState): void {
    const leadership = 'leadership' in state ? state.leadership : undefined;
    this.known = 'leadership' in state ? null : state.leader;
    if (leadership === this.current) return;
    this.current = leadership;
    if (leadership === undefined) return;
    this.proclaim(leadership).catch((error: unknown) => {
      logFailure(`the leader of '${this.election}' could not proclaim its URL`, error);
    });
    for (const listener of this.listeners.values()) listener.follow(leadership);
  }

  private async proclaim(leadership: Leadership): Promise<void> {
    const { advertiseUrl } = this.options;
    if (typeof advertiseUrl === 'function') await leadership.proclaim(await advertiseUrl());
  }

  private onFailure(error: unknown): void {
    this.current = undefined;
    this.participation = undefined;
    if (this.isOver) return;
    logFailure(`cannot take part in the election '${this.election}', and tries again`, error);
    this.retry = this.surroundings.clock.setTimer(failureRestMs, () => this.begin());
  }
}
