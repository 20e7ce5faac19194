import { type ModuleRef } from '@nestjs/core';
import { settledWithin } from '../../cancellation.js';
import { ClosedError } from '../../errors.js';
import { type Clock, nodeRuntime } from '../../runtime.js';
import { LeaderRoles } from '../leadership/leader-roles.js';
import { type Connections } from '../module/connections.js';
import { clockOf } from '../module/started-client.js';
import { ScheduledJobs } from '../schedules/scheduled-jobs.js';
import { ApplicationWork } from './application-work.js';
import { closeMs, drainMsOf, resignMs } from './shutdown-times.js';

/**
 * What one application does under locks and leaderships, from its start to its end.
 *
 * Invariant: the end goes in steps, each at most once and bounded, and each step includes those before it: nothing more is acquired;
 * work is told to end and waited for; leaderships, locks and leases are given back.
 */
export class Application {
  readonly work = new ApplicationWork();
  readonly roles: LeaderRoles;
  readonly jobs = new ScheduledJobs();
  private draining: Promise<void> | undefined;
  private ending: Promise<void> | undefined;

  constructor(private readonly connections: Connections) {
    this.roles = new LeaderRoles(connections, this.work);
  }

  /** @throws InvalidArgumentError for impossible times, and for schedules without their module. */
  start(moduleRef: ModuleRef): void {
    for (const { options } of this.connections.all()) drainMsOf(options);
    this.jobs.start(moduleRef);
    this.roles.start();
  }

  /** First step: schedules begin nothing, and whoever waits for a lock or a leadership gives up. */
  stopAcquiring(): void {
    this.work.takeNoMoreRuns();
    this.jobs.end();
    for (const { client } of this.connections.all()) client.stopAcquiring();
  }

  /** Second step: what runs is told to end, and waited for. What it runs under stays held. */
  drain(): Promise<void> {
    this.draining ??= this.untilSettled();
    return this.draining;
  }

  /** Last step: leaders resign, and the clients give back what is left. */
  end(): Promise<void> {
    this.ending ??= this.giveBack();
    return this.ending;
  }

  private async untilSettled(): Promise<void> {
    this.stopAcquiring();
    this.work.tellToStop(new ClosedError('the application shuts down'));
    this.roles.drain();
    const limitMs = Math.max(0, ...this.connections.all().map(({ options }) => drainMsOf(options)));
    await settledWithin(this.clock(), limitMs, this.work.settled());
  }

  private async giveBack(): Promise<void> {
    await this.drain();
    await settledWithin(this.clock(), resignMs, this.roles.end());
    await Promise.all(this.connections.all().map(({ client }) => client.close({ drain: closeMs })));
  }

  private clock(): Clock {
    const [first] = this.connections.all();
    return first === undefined ? nodeRuntime.clock : clockOf(first.options);
  }
}

/** The application of these connections. The same for every copy of the package. */
export function applicationOf(connections: Connections): Application {
  const key = Symbol.for('@conclave/client/nest/application-of');
  const holder = globalThis as unknown as Record<symbol, WeakMap<Connections, Application> | undefined>;
  const known = (holder[key] ??= new WeakMap());
  let application = known.get(connections);
  if (application === undefined) {
    application = new Application(connections);
    known.set(connections, application);
  }
  return application;
}
