import { joinElection } from '../leadership/join-election.js';
import { underLeadership } from '../leadership/leader-only.js';
import { type AsyncMethod, type Skippable, wrapMethod } from '../methods/wrapped-method.js';
import { connectionsOf } from '../module/connections.js';
import { applicationOf } from '../shutdown/application.js';
import { type CronOptions, scheduleMethod } from './cron-options.js';
import { addJob } from './job-feature.js';
import { counted } from './counted-run.js';

export interface LeaderCronOptions extends CronOptions {
  readonly election: string;
  /** Of the job in the SchedulerRegistry; default: one by chance. */
  readonly name?: string;
  /** The connection; default `default`. */
  readonly connection?: string;
}

/**
 * A cron job that runs in the instance that leads. A due time at which this instance does not lead is left out, and counted. A run that
 * outlives the leadership is told by {@link LeaderSignal}, and rejects with LeadershipLostError. When the leadership changes hands at a due
 * time, nobody may run, or the former leader and the next one both may, one after the other: where each due time must have one run at most,
 * take {@link CronOnce}.
 *
 * Needs `ScheduleModule.forRoot()` of @nestjs/schedule.
 *
 * @param expression as `@Cron` takes it.
 * @throws InvalidArgumentError, when the class is declared, without @nestjs/schedule and for a method that returns no promise.
 */
export function LeaderCron(expression: string, options: LeaderCronOptions) {
  const { election, connection, ...cron } = options;
  return <M extends AsyncMethod>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<M> & Skippable<M>,
  ): void => {
    const method = wrapMethod('@LeaderCron', target, key, descriptor, async (call, { title }) => {
      const { roles, work, jobs } = applicationOf(connectionsOf(call.instance));
      const job = cron.name ?? title;
      if (!work.takesRuns) return jobs.count(job, 'stopping');
      const { leadership } = roles.join(election, connection);
      if (leadership === undefined) return jobs.count(job, 'following');
      return work.track(counted(jobs, job, underLeadership(leadership, call)));
    });
    joinElection({ election, connection }, method);
    addJob(method);
    scheduleMethod(expression, cron, target, key, descriptor);
  };
}
