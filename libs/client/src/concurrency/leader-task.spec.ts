import { describe, expect, it } from 'vitest';
import { type StoreClient } from '../client.js';
import { LeadershipLostError } from '../errors.js';
import { FakeWorld } from '../testing/fake-client.js';
import { outcomeOf } from '../testing/outcome.js';
import { type Leadership } from './leadership.js';
import { type RunAsLeaderOptions } from './leader-task.js';

/** A function that leads until it is told to end, and counts how often it runs. */
class Work {
  runs = 0;
  running = 0;
  overlaps = 0;
  leadership: Leadership | undefined;
  private settle: { resolve(): void; reject(error: Error): void } | undefined;

  readonly fn = (leadership: Leadership): Promise<void> => {
    this.runs += 1;
    this.running += 1;
    if (this.running > 1) this.overlaps += 1;
    this.leadership = leadership;
    return new Promise<void>((resolve, reject) => {
      this.settle = { resolve, reject };
    }).finally(() => (this.running -= 1));
  };

  start(client: StoreClient, options: RunAsLeaderOptions = {}, ttl: '9s' | '15s' = '15s') {
    return outcomeOf(client.elections.election('e', { ttl, margin: '1s' }).runAsLeader(this.fn, options));
  }

  return(): void {
    this.settle?.resolve();
  }

  throw(error: Error): void {
    this.settle?.reject(error);
  }
}

describe('runAsLeader', () => {
  it('P19 deletes the key only after the function has settled', async () => {
    const world = new FakeWorld();
    const stop = new AbortController();
    const work = new Work();
    const result = work.start(world.client(), { signal: stop.signal });
    await world.clock.settle();
    stop.abort();
    await world.clock.advance(4_000);
    expect(work.leadership?.stopping.aborted).toBe(true);
    expect(work.leadership?.signal.aborted).toBe(false);
    expect(world.store.keys()).toEqual([work.leadership?.key]);
    work.return();
    await world.clock.settle();
    expect(world.store.keys()).toEqual([]);
    expect(result.error).toMatchObject({ code: 'cancelled' });
    expect(await work.leadership?.done).toBe('resigned');
  });

  it('P19 cuts the drain off: by its own limit, and by the deadline that stood when it began', async () => {
    for (const [drain, limitMs] of [
      ['3s', 3_000],
      ['60s', 8_000],
    ] as const) {
      const world = new FakeWorld();
      const stop = new AbortController();
      const work = new Work();
      const result = work.start(world.client(), { signal: stop.signal, drain }, '9s');
      await world.clock.settle();
      stop.abort();
      await world.clock.advance(limitMs - 1);
      expect(work.leadership?.signal.aborted).toBe(false);
      await world.clock.advance(1);
      expect(work.leadership?.signal.aborted).toBe(true);
      expect(work.leadership?.isHeld()).toBe(false);
      expect(world.store.keys()).toEqual([]);
      expect(result.error).toMatchObject({ code: 'cancelled' });
    }
  });

  it('P19 cuts the drain off at the local deadline when the store cannot be reached', async () => {
    const world = new FakeWorld();
    const stop = new AbortController();
    const work = new Work();
    work.start(world.client(), { signal: stop.signal, drain: '60s' }, '9s');
    await world.clock.advance(1_000);
    world.store.partition();
    stop.abort();
    await world.clock.advance(6_999);
    expect(work.leadership?.signal.aborted).toBe(false);
    await world.clock.advance(1);
    expect(work.leadership?.signal.aborted).toBe(true);
  });

  it('P19 ends the process, as the last resort, when the function does not stop after a loss', async () => {
    const world = new FakeWorld();
    const work = new Work();
    const result = work.start(world.client(), { onLost: 'exit' });
    await world.clock.settle();
    world.store.deleteKey(work.leadership?.key ?? '');
    await world.clock.advance(999);
    expect(world.exits).toEqual([]);
    await world.clock.advance(1);
    expect(world.exits).toEqual([1]);
    expect(result.error).toBeInstanceOf(LeadershipLostError);
  });

  it('does not end the process when the function stops in time', async () => {
    const world = new FakeWorld();
    const work = new Work();
    const result = work.start(world.client(), { onLost: 'exit' });
    await world.clock.settle();
    world.store.deleteKey(work.leadership?.key ?? '');
    await world.clock.advance(500);
    work.return();
    await world.clock.advance(5_000);
    expect(world.exits).toEqual([]);
    expect(result.error).toMatchObject({ lossReason: 'key-deleted' });
  });

  it('P20 P21 leads again after a loss: after the function has settled and a pause, never twice at once', async () => {
    const world = new FakeWorld();
    const work = new Work();
    work.start(world.client(), { cooldown: '4s' });
    await world.clock.settle();
    const first = work.leadership;
    world.store.deleteKey(first?.key ?? '');
    await world.clock.advance(60_000);
    expect(work.runs).toBe(1);
    work.throw(new Error('aborted'));
    await world.clock.advance(4_999);
    expect(work.runs).toBe(1);
    await world.clock.advance(1);
    expect(work.runs).toBe(2);
    expect(work.overlaps).toBe(0);
    expect(work.leadership?.term).toBeGreaterThan(first?.term ?? 0n);
  });

  it('rejects after a loss when asked to, once the function has settled or the drain is over', async () => {
    const world = new FakeWorld();
    const work = new Work();
    const result = work.start(world.client(), { onLost: 'throw', drain: '2s' });
    await world.clock.settle();
    world.store.deleteKey(work.leadership?.key ?? '');
    await world.clock.advance(1_999);
    expect(result.settled).toBe(false);
    await world.clock.advance(1);
    expect(result.error).toMatchObject({ code: 'leadership-lost', lossReason: 'key-deleted' });
  });

  it('ends with the function, and with its error, and resigns before that', async () => {
    const world = new FakeWorld();
    const work = new Work();
    const returned = work.start(world.client());
    await world.clock.settle();
    work.return();
    await world.clock.settle();
    expect(returned).toMatchObject({ settled: true });
    expect(returned.error).toBeUndefined();
    expect(world.store.keys()).toEqual([]);
    const threw = work.start(world.client());
    await world.clock.settle();
    work.throw(new Error('mine'));
    await world.clock.settle();
    expect(threw.error?.message).toBe('mine');
    expect(world.store.keys()).toEqual([]);
  });

  it('P2 a function that comes back after a stall longer than the TTL has not led until its end', async () => {
    const world = new FakeWorld();
    const work = new Work();
    const result = work.start(world.client(), { onLost: 'throw' });
    await world.clock.settle();
    world.clock.stall(30_000);
    work.return();
    await world.clock.settle();
    expect(result.error).toMatchObject({ code: 'leadership-lost', lossReason: 'lease-expired-local' });
  });

  it('leads again when somebody resigned its leadership while the function ran', async () => {
    const world = new FakeWorld();
    const work = new Work();
    const result = work.start(world.client());
    await world.clock.settle();
    const resigned = work.leadership?.resign();
    await world.clock.settle();
    expect(work.leadership?.stopping.aborted).toBe(true);
    work.return();
    await resigned;
    await world.clock.advance(1_500);
    expect(work.runs).toBe(2);
    expect(result.settled).toBe(false);
  });

  it('waits without running anything while another one leads, and ends that wait with the signal', async () => {
    const world = new FakeWorld();
    await world.client().elections.election('e').campaign();
    const stop = new AbortController();
    const work = new Work();
    const result = work.start(world.client(), { signal: stop.signal });
    await world.clock.advance(20_000);
    stop.abort();
    await world.clock.settle();
    expect(work.runs).toBe(0);
    expect(result.error).toMatchObject({ name: 'AbortError' });
  });

  it('P19 lets the function end when the client closes, and rejects then', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const work = new Work();
    const result = work.start(client);
    await world.clock.settle();
    const closed = outcomeOf(client.close());
    await world.clock.advance(1_000);
    expect(work.leadership?.stopping.aborted).toBe(true);
    expect(work.leadership?.isHeld()).toBe(true);
    work.return();
    await world.clock.advance(2_000);
    expect(closed.settled).toBe(true);
    expect(world.store.keys()).toEqual([]);
    expect(result.error).toMatchObject({ code: 'closed' });
  });

  it('P16 refuses to campaign for what the same chain of calls leads', async () => {
    const world = new FakeWorld();
    const election = world.client().elections.election('e');
    await expect(
      election.runAsLeader(() => election.runAsLeader(() => Promise.resolve())),
    ).rejects.toMatchObject({
      code: 'deadlock',
    });
    expect(world.store.keys()).toEqual([]);
  });
});
