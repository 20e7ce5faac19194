import { describe, expect, it } from 'vitest';
import { Backoff } from './backoff.js';
import { durationMs } from './duration.js';

describe('back-off', () => {
  it('draws from zero to a bound that doubles up to the maximum', () => {
    for (const random of [0, 0.5, 0.999]) {
      const backoff = new Backoff({ baseMs: 100, maxMs: 500, jitter: 'full' }, () => random);
      const bounds = [100, 200, 400, 500, 500];
      expect(bounds.map(() => backoff.next())).toEqual(bounds.map((bound) => bound * random));
      backoff.reset();
      expect(backoff.next()).toBe(100 * random);
    }
  });

  it('never leaves its bounds after very many attempts', () => {
    const backoff = new Backoff({ baseMs: 1, maxMs: 60_000, jitter: 'full' }, () => 1 - Number.EPSILON);
    for (let i = 0; i < 3_000; i += 1) expect(backoff.next()).toBeLessThanOrEqual(60_000);
  });

  it('decorrelated jitter stays between the base and three times the delay before', () => {
    let previous = 100;
    let seed = 0.1;
    const backoff = new Backoff(
      { baseMs: 100, maxMs: 10_000, jitter: 'decorrelated' },
      () => (seed = (seed * 7.31) % 1),
    );
    for (let i = 0; i < 100; i += 1) {
      const delay = backoff.next();
      expect(delay).toBeGreaterThanOrEqual(100);
      expect(delay).toBeLessThanOrEqual(Math.min(10_000, previous * 3));
      previous = delay;
    }
  });
});

describe('durations', () => {
  it('are milliseconds, or a number with a unit', () => {
    expect([250, '250ms', '1.5s', '4m', '1h', 0].map((value) => durationMs(value as '1s', 'x'))).toEqual([
      250, 250, 1_500, 240_000, 3_600_000, 0,
    ]);
  });

  it.each(['', '5', '5 s', '-5s', 's', '5d', -1, Number.NaN, Infinity])(
    'refuses %s, naming the option',
    (value) => {
      expect(() => durationMs(value as '1s', 'ttl')).toThrow(/^ttl: /);
    },
  );
});
