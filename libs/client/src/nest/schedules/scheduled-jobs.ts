import { type ModuleRef } from '@nestjs/core';
import { InvalidArgumentError } from '../../errors.js';
import { nextTurn } from '../../runtime.js';
import { optionalPeer } from '../module/optional-peer.js';

/** The part of a CronTime of the package cron that is used here. */
export interface CronTimes {
  getNextDateFrom(start: Date, timeZone?: string): { toMillis(): number };
}

interface Registry {
  getCronJob(name: string): { readonly cronTime: CronTimes };
}

/** What became of a due time in this process. */
export type RunOutcome =
  | 'ran'
  | 'failed'
  /** Not the leader. */
  | 'following'
  /** Another instance has this run. */
  | 'taken'
  /** Nobody could be asked. */
  | 'unavailable'
  /** The process came too late to be sure that nobody ran before. */
  | 'missed'
  /** The application shuts down. */
  | 'stopping';

/** The `@LeaderCron` and `@CronOnce` jobs of one application. */
export class ScheduledJobs {
  private readonly titles: string[] = [];
  private readonly counts = new Map<string, Map<RunOutcome, number>>();
  private registry: Registry | undefined;
  private settle: () => void = () => undefined;

  /** Resolves when the jobs run, or never will. A job that is late may call its method before it is registered. */
  readonly settled = new Promise<void>((resolve) => {
    this.settle = resolve;
  });

  /** @param title `Class.method`. */
  add(title: string): void {
    this.titles.push(title);
  }

  /** @throws InvalidArgumentError when there are jobs and nothing would run them. */
  start(moduleRef: ModuleRef): void {
    // The module of the schedules registers them in the same turn, before or after this.
    void nextTurn().then(this.settle);
    const [title] = this.titles;
    if (title === undefined) return;
    const { SchedulerRegistry } = schedulePackage<{ SchedulerRegistry: new () => Registry }>();
    try {
      this.registry = moduleRef.get(SchedulerRegistry, { strict: false });
    } catch (cause) {
      throw new InvalidArgumentError(
        `nothing would run ${title}: import ScheduleModule.forRoot() of @nestjs/schedule in the root module`,
        { cause },
      );
    }
  }

  end(): void {
    this.settle();
  }

  /** When a job is due. @throws InvalidArgumentError when it does not run. */
  timesOf(name: string): CronTimes {
    try {
      if (this.registry !== undefined) return this.registry.getCronJob(name).cronTime;
    } catch (cause) {
      throw new InvalidArgumentError(`there is no cron job '${name}': it was deleted, or has ended`, {
        cause,
      });
    }
    throw new InvalidArgumentError(`the cron job '${name}' has not begun: the application has not started`);
  }

  count(job: string, outcome: RunOutcome): void {
    const counts = this.counts.get(job) ?? new Map<RunOutcome, number>();
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    this.counts.set(job, counts);
  }

  /** By job, how often it came to what. */
  outcomes(): ReadonlyMap<string, ReadonlyMap<RunOutcome, number>> {
    return this.counts;
  }
}

export function schedulePackage<T>(): T {
  return optionalPeer<T>('@nestjs/schedule', '@LeaderCron and @CronOnce');
}
