import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualRuntime } from '../testing/virtual-runtime.js';
import { DeadlineQueue, type Expiring } from './deadline-queue.js';

class Entry implements Expiring {
  isSettled = false;
  expiredAt: number | undefined;

  constructor(
    private readonly runtime: VirtualRuntime,
    private readonly queue: DeadlineQueue,
    readonly deadline: number,
  ) {}

  expire(): void {
    this.expiredAt = this.runtime.now();
    this.settle();
  }

  settle(): void {
    this.isSettled = true;
    this.queue.noteSettled();
  }
}

describe('DeadlineQueue', () => {
  it('expires exactly the entries that are not settled, each at its deadline', async () => {
    const delays = fc.array(fc.record({ delay: fc.integer({ min: 0, max: 50 }), settles: fc.boolean() }));
    await fc.assert(
      fc.asyncProperty(delays, async (plan) => {
        const runtime = new VirtualRuntime();
        const start = runtime.now();
        const queue = new DeadlineQueue(runtime);
        const entries = plan.map(({ delay }) => new Entry(runtime, queue, start + delay));
        for (const entry of entries) queue.add(entry);
        entries.forEach((entry, i) => {
          if (plan[i]?.settles === true) entry.settle();
        });
        await runtime.advance(60);
        entries.forEach((entry, i) => {
          expect(entry.expiredAt).toBe(plan[i]?.settles === true ? undefined : entry.deadline);
        });
        expect(queue.size).toBe(0);
        expect(runtime.pendingTimers).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it('forgets settled entries long before their deadline', () => {
    const runtime = new VirtualRuntime();
    const queue = new DeadlineQueue(runtime);
    for (let i = 0; i < 100_000; i++) {
      const entry = new Entry(runtime, queue, runtime.now() + 5_000 + i);
      queue.add(entry);
      entry.settle();
    }
    expect(queue.size).toBeLessThan(2_100);
    expect(runtime.pendingTimers).toBeLessThanOrEqual(1);
  });

  it('keeps live entries through sweeps', async () => {
    const runtime = new VirtualRuntime();
    const queue = new DeadlineQueue(runtime);
    const live: Entry[] = [];
    for (let i = 0; i < 10_000; i++) {
      const entry = new Entry(runtime, queue, runtime.now() + 10 + ((i * 7919) % 997));
      queue.add(entry);
      if (i % 10 === 0) live.push(entry);
      else entry.settle();
    }
    await runtime.advance(2_000);
    expect(live.map((entry) => entry.expiredAt)).toEqual(live.map((entry) => entry.deadline));
    queue.close();
  });
});
