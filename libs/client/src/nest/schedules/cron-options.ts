import { schedulePackage } from './scheduled-jobs.js';

/** Of `@Cron`, which runs the job; those that a version of @nestjs/schedule does not know do nothing there. */
export interface CronOptions {
  /** An IANA zone; default: the one of the machine. Give it, where machines differ. */
  readonly timeZone?: string;
  /** Minutes from UTC, instead of a zone. */
  readonly utcOffset?: number;
  /** A run that is due while the one before has not ended is left out; default false. */
  readonly waitForCompletion?: boolean;
  /** The job is there and does not run; default false. */
  readonly disabled?: boolean;
  /** The pending timer does not keep the process running; default false. */
  readonly unrefTimeout?: boolean;
  /** Milliseconds by which a run may be late; default 250. */
  readonly threshold?: number;
  /** Milliseconds from the start of the application until the schedule begins. */
  readonly initialDelay?: number;
}

type Cron = (
  expression: string,
  options: CronOptions & { readonly name?: string },
) => (target: object, key: string | symbol, descriptor: PropertyDescriptor) => unknown;

/** Makes the method of the descriptor a job of @nestjs/schedule. @throws InvalidArgumentError when that is not installed. */
export function scheduleMethod(
  expression: string,
  options: CronOptions & { readonly name?: string },
  target: object,
  key: string | symbol,
  descriptor: PropertyDescriptor,
): void {
  const { Cron } = schedulePackage<{ readonly Cron: Cron }>();
  Cron(expression, options)(target, key, descriptor);
}

/** The zone in which the job of these options is due, as the package cron writes it. */
export function zoneOf({ timeZone, utcOffset }: CronOptions): string {
  if (timeZone !== undefined) return timeZone;
  if (utcOffset === undefined) return Intl.DateTimeFormat().resolvedOptions().timeZone;
  const minutes = Math.abs(utcOffset);
  const [hh, mm] = [Math.trunc(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, '0'));
  return `UTC${utcOffset < 0 ? '-' : '+'}${hh}:${mm}`;
}
