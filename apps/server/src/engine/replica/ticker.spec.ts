import { expect, it } from 'vitest';
import { ManualClock } from '../platform/manual-clock.js';
import { Ticker } from './ticker.js';

/** A clock whose process can be stalled: timers that are due meanwhile fire late. */
class StallingClock extends ManualClock {
  private lateMs = 0;

  override now(): number {
    return super.now() + this.lateMs;
  }

  stall(ms: number): void {
    this.lateMs += ms;
  }
}

it('ticks at its interval, until it is stopped', () => {
  const clock = new ManualClock();
  const ticks: number[] = [];
  const ticker = new Ticker(clock, 100, () => ticks.push(clock.now()));
  ticker.start();
  clock.advance(350);
  ticker.stop();
  clock.advance(1_000);
  expect(ticks).toEqual([100, 200, 300]);
  expect(clock.pending).toBe(0);
});

it('lets in what arrived before a late tick, and does not make up for those it missed', () => {
  const clock = new StallingClock();
  const order: string[] = [];
  const ticker = new Ticker(clock, 100, () => order.push('tick'));
  ticker.start();
  clock.stall(900);
  // The runtime runs timers first, then the input of the turn, then what was deferred.
  clock.after(100, () => order.push('message'));
  clock.advance(100);
  expect(order).toEqual(['message', 'tick']);
});
