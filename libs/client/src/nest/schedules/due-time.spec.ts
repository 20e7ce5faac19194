import { CronTime } from 'cron';
import { describe, expect, it } from 'vitest';
import { zoneOf } from './cron-options.js';
import { latestDue } from './due-time.js';

/** The due times from a moment on, as the package cron goes through them. */
function dues(times: CronTime, zone: string, from: string, count: number): number[] {
  const all: number[] = [];
  let at = Date.parse(from);
  while (all.length < count) {
    at = times.getNextDateFrom(new Date(at), zone).toMillis();
    all.push(at);
  }
  return all;
}

const hour = 3_600_000;

describe('latestDue', () => {
  it.each([
    ['* * * * * *', 'UTC', '2026-01-01T00:00:00Z'],
    ['*/5 * * * *', 'UTC', '2026-01-01T00:00:00Z'],
    ['17 3,15 * * 1-5', 'Asia/Shanghai', '2026-02-25T00:00:00Z'],
    ['0 0 1 * *', 'Europe/Berlin', '2026-01-31T00:00:00Z'],
    // Over the beginning and the end of summer time, with times that do not exist and times that exist twice.
    ['*/30 * * * *', 'America/New_York', '2026-03-08T04:00:00Z'],
    ['30 2 * * *', 'America/New_York', '2026-03-06T00:00:00Z'],
    ['30 1 * * *', 'America/New_York', '2026-10-30T00:00:00Z'],
    ['0 * * * *', 'America/New_York', '2026-11-01T02:00:00Z'],
    ['15 2 * * *', 'Australia/Lord_Howe', '2026-04-03T00:00:00Z'],
  ])('finds the due time of %s in %s from any moment until the next one', (expression, zone, from) => {
    const times = new CronTime(expression, zone);
    const all = dues(times, zone, from, 12);
    for (const [index, due] of all.slice(0, -1).entries()) {
      const next = all[index + 1] ?? 0;
      for (const lateMs of [0, 1, 37, 250, 999, next - due - 1]) {
        if (due + lateMs >= next) continue;
        expect(latestDue(times, due + lateMs, 40 * 24 * hour, zone)).toBe(due);
      }
    }
  });

  it('finds none that is longer ago than it may be', () => {
    const times = new CronTime('0 3 * * *', 'UTC');
    const due = Date.parse('2026-01-05T03:00:00Z');
    expect(latestDue(times, due + 30_000, 30_000, 'UTC')).toBeUndefined();
    expect(latestDue(times, due + 29_000, 30_000, 'UTC')).toBe(due);
    expect(latestDue(times, due - 1, 30_000, 'UTC')).toBeUndefined();
  });

  it('knows the zone of an offset as the package cron writes it', () => {
    for (const utcOffset of [0, 330, -210, 60]) {
      const zone = zoneOf({ utcOffset });
      const times = new CronTime('0 12 * * *', null, utcOffset);
      const [due] = dues(times, zone, '2026-01-01T00:00:00Z', 1) as [number];
      expect(new Date(due).getUTCHours() * 60 + new Date(due).getUTCMinutes()).toBe(
        (12 * 60 - utcOffset) % 1440,
      );
      // What the job itself waits for.
      expect(dues(times, zone, new Date().toISOString(), 1)).toEqual([times.sendAt().toMillis()]);
    }
    expect(zoneOf({ timeZone: 'Asia/Tokyo' })).toBe('Asia/Tokyo');
    expect(zoneOf({})).toBe(Intl.DateTimeFormat().resolvedOptions().timeZone);
  });
});
