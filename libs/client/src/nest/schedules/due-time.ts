import { dateAt } from '../../runtime.js';
import { type CronTimes } from './scheduled-jobs.js';

/**
 * The newest due time at or before a moment, as the schedule says it: every instance finds the same one, although their timers fire some
 * milliseconds apart and their clocks differ. Undefined when there is none within `withinMs` before.
 *
 * @param timeZone of the schedule; a repeated hour of the end of summer time has the due times that the package cron gives it.
 */
export function latestDue(
  times: CronTimes,
  nowMs: number,
  withinMs: number,
  timeZone: string,
): number | undefined {
  const next = (afterMs: number): number => times.getNextDateFrom(dateAt(afterMs), timeZone).toMillis();
  // The package finds due times forwards only. Looking back in steps that double finds the last one before much walking.
  for (let backMs = 1_000; ; backMs *= 2) {
    const reachMs = Math.min(backMs, withinMs);
    let dueMs = next(nowMs - reachMs);
    if (dueMs <= nowMs) {
      for (let after = next(dueMs); after <= nowMs && after > dueMs; after = next(dueMs)) dueMs = after;
      return dueMs;
    }
    if (reachMs === withinMs) return undefined;
  }
}
