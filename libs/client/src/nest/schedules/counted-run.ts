import { type ScheduledJobs } from './scheduled-jobs.js';

/** The same promise, counted when it settles. */
export async function counted<T>(jobs: ScheduledJobs, job: string, run: Promise<T>): Promise<T> {
  try {
    const result = await run;
    jobs.count(job, 'ran');
    return result;
  } catch (error) {
    jobs.count(job, 'failed');
    throw error;
  }
}
