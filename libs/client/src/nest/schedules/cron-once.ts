import { type ConclaveClient } from '../../client.js';
import { type Duration, durationMs } from '../../duration.js';
import { InvalidArgumentError } from '../../errors.js';
import { leaseTimes } from '../../lease/leases.js';
import { type Clock, dateAt } from '../../runtime.js';
import { logFailure } from '../methods/log-failure.js';
import { type AsyncMethod, type Skippable, wrapMethod } from '../methods/wrapped-method.js';
import { connectionsOf } from '../module/connections.js';
import { clockOf, logger } from '../module/started-client.js';
import { applicationOf } from '../shutdown/application.js';
import { counted } from './counted-run.js';
import { type CronOptions, scheduleMethod, zoneOf } from './cron-options.js';
import { latestDue } from './due-time.js';
import { addJob } from './job-feature.js';
import { type RunOutcome, type ScheduledJobs } from './scheduled-jobs.js';

export interface CronOnceOptions extends CronOptions {
  /** Of the schedule: the same in every instance, and of the job in the SchedulerRegistry. */
  readonly name: string;
  /**
   * How long the store remembers who has a run; default 1 minute, at least 2 s. Half of it is for instances that come late, half for
   * clocks that differ: within these, no due time has two runs.
   */
  readonly ttl?: Duration;
  /** The connection; default `default`. */
  readonly connection?: string;
}

/**
 * A cron job of which each due time runs in one instance, whichever claims it first. What identifies a run is the due time of the schedule
 * and not the clock of an instance. It fails closed: when the store does not answer, when this instance is later than half of `ttl`, and when the
 * application shuts down, it does not run; a run whose instance dies is not repeated. A direct call of the method counts as a run of the
 * newest due time.
 *
 * Needs `ScheduleModule.forRoot()` of @nestjs/schedule.
 *
 * @param expression as `@Cron` takes it.
 * @throws InvalidArgumentError, when the class is declared, without @nestjs/schedule, for impossible options and for a method that returns no
 *   promise.
 */
export function CronOnce(expression: string, options: CronOnceOptions) {
  const { ttl = '1m', connection, ...cron } = options;
  leaseTimes({ ttl });
  if (cron.name === '')
    throw new InvalidArgumentError('@CronOnce: the name is empty; it needs at least one character');
  const schedule: Schedule = { name: cron.name, zone: zoneOf(cron), ttlMs: durationMs(ttl, 'ttl') };
  return <M extends AsyncMethod>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<M> & Skippable<M>,
  ): void => {
    const method = wrapMethod('@CronOnce', target, key, descriptor, async (call) => {
      const connections = connectionsOf(call.instance);
      const { work, jobs } = applicationOf(connections);
      await jobs.settled;
      if (!work.takesRuns) return jobs.count(schedule.name, 'stopping');
      const clock = clockOf(connections.options(connection));
      const claim = new RunClaim(schedule, connections.client(connection), jobs, clock);
      const outcome = await work.track(claim.take());
      if (outcome !== 'mine') return jobs.count(schedule.name, outcome);
      return work.track(counted(jobs, schedule.name, call.proceed({ stopSignal: work.stopping })));
    });
    addJob(method);
    scheduleMethod(expression, cron, target, key, descriptor);
  };
}

interface Schedule {
  readonly name: string;
  readonly zone: string;
  readonly ttlMs: number;
}

/** The claim of one tick to the due time that it is for. */
class RunClaim {
  /** A claim that is later could find that an earlier one is forgotten. */
  private readonly latestMs: number;

  constructor(
    private readonly schedule: Schedule,
    private readonly client: ConclaveClient,
    private readonly jobs: ScheduledJobs,
    private readonly clock: Clock,
  ) {
    this.latestMs = schedule.ttlMs / 2;
  }

  async take(): Promise<'mine' | Extract<RunOutcome, 'taken' | 'missed' | 'unavailable'>> {
    const { name, zone, ttlMs } = this.schedule;
    const dueMs = latestDue(this.jobs.timesOf(name), this.clock.wall(), this.latestMs, zone);
    if (dueMs === undefined) {
      logger.warn(
        `${this.title()} was not run: this process came more than ${this.latestMs} ms after it was due`,
      );
      return 'missed';
    }
    const dueAt = dateAt(dueMs);
    try {
      if (!(await this.client.schedules.claim(name, dueAt, { ttl: ttlMs }))) return 'taken';
    } catch (error) {
      logFailure(
        `${this.title(dueAt)} was not run here, and perhaps nowhere: it could not be claimed`,
        error,
      );
      return 'unavailable';
    }
    const lateMs = this.clock.wall() - dueMs;
    if (lateMs < this.latestMs) return 'mine';
    logger.error(`${this.title(dueAt)} was claimed ${lateMs} ms after it was due, too late to be run`);
    return 'missed';
  }

  private title(dueAt?: Date): string {
    return `schedule '${this.schedule.name}'${dueAt === undefined ? '' : `, due ${dueAt.toISOString()},`}`;
  }
}
