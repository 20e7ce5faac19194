import { GrpcStatus } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { type ClientOptions, type ConclaveClient, createClient } from '../client.js';
import { FakeNetwork } from '../testing/fake-transport.js';
import { outcomeOf } from '../testing/outcome.js';
import { VirtualClock } from '../testing/virtual-clock.js';
import { TransportError } from '../transport.js';

/** Mulberry32: chance that is the same in every run. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const members = ['a', 'b', 'c'] as const;
const crowdSize = 300;

/** Many clients of one cluster, each with its own chance. */
class Crowd {
  readonly clock = new VirtualClock();
  readonly network = new FakeNetwork((ms, callback) => this.clock.setTimer(ms, callback));
  readonly clients: ConclaveClient[] = [];
  readonly at = new Map<number, string>();
  readonly dials: number[] = [];

  constructor(options: Partial<ClientOptions> = {}) {
    for (const name of members) this.network.add(name);
    for (let i = 0; i < crowdSize; i += 1) this.clients.push(this.join(i, options));
  }

  /** How many clients each member has now. */
  get counts(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const endpoint of this.at.values()) counts[endpoint] = (counts[endpoint] ?? 0) + 1;
    return counts;
  }

  private join(number: number, options: Partial<ClientOptions>): ConclaveClient {
    const client = createClient({
      endpoints: members,
      clock: this.clock,
      random: chance(number),
      transport: (endpoint, transport) => {
        this.dials.push(this.clock.monotonic());
        return this.network.factory(endpoint, transport);
      },
      ...options,
    });
    client.connection$.subscribe((state) => {
      if (state.kind === 'connected') this.at.set(number, state.endpoint);
      else this.at.delete(number);
    });
    return client;
  }
}

/** The most of these times that lie within one span of this length. */
function densest(times: readonly number[], spanMs: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return Math.max(
    ...sorted.map((from) => sorted.filter((time) => time >= from && time < from + spanMs).length),
  );
}

describe('a crowd of clients', () => {
  it('P29 spreads over all members, and over all others when one is lost', async () => {
    const crowd = new Crowd();
    await Promise.all(crowd.clients.map((client) => client.ready()));
    for (const name of members) expect(crowd.counts[name]).toBeGreaterThan(crowdSize / 5);
    crowd.network.crash('a');
    await crowd.clock.advance(5_000);
    expect(crowd.counts['a']).toBeUndefined();
    for (const name of ['b', 'c']) expect(crowd.counts[name]).toBeGreaterThan(crowdSize / 3);
  });

  it('P29 does not come back all at once: full jitter before each round, longer with each that failed', async () => {
    const crowd = new Crowd({ retry: { base: '100ms', max: '5s' } });
    await Promise.all(crowd.clients.map((client) => client.ready()));
    for (const name of members) crowd.network.crash(name);
    crowd.dials.length = 0;
    await crowd.clock.advance(100);
    // Three members per round, spread over the first 100 ms instead of one moment.
    expect(densest(crowd.dials, 10)).toBeLessThan(crowd.dials.length / 4);
    await crowd.clock.advance(29_900);
    const late = crowd.dials.filter((time) => time >= 10_000);
    // Rounds of up to 5 s, 2.5 s in the mean: 300 clients make about 120 a second then, of three dials each.
    expect(late.length / 20).toBeLessThan(3 * 140);
    expect(densest(late, 100)).toBeLessThan(3 * 30);
    Object.assign(crowd.network.members.get('b') ?? {}, { mode: 'up' });
    await crowd.clock.advance(6_000);
    expect(crowd.counts).toEqual({ b: crowdSize });
  });

  it('P29 repeats no more than the budget allows, and never holds back a first attempt', async () => {
    const clock = new VirtualClock();
    const network = new FakeNetwork((ms, callback) => clock.setTimer(ms, callback));
    let attempts = 0;
    network.add('a', {
      answer: () => {
        attempts += 1;
        return Promise.reject(
          new TransportError(GrpcStatus.ResourceExhausted, 'etcdserver: too many requests', true),
        );
      },
    });
    const client = createClient({
      endpoints: ['a'],
      clock,
      random: chance(1),
      transport: network.factory,
      retryBudget: 2,
      requestTimeout: '60s',
    });
    await client.ready();
    const gets = Array.from({ length: 100 }, () => outcomeOf(client.kv.get('k')));
    await clock.advance(5_000);
    expect(attempts).toBeGreaterThanOrEqual(100);
    // Twenty that were kept, and two for each second.
    expect(attempts).toBeLessThanOrEqual(100 + 20 + 2 * 5);
    expect(gets.filter(({ settled }) => settled).length).toBeGreaterThan(70);
    expect(gets.find(({ settled }) => settled)?.error).toMatchObject({
      code: 'resource-exhausted',
      reason: 'RequestTooManyRequests',
      retryable: true,
    });
    attempts = 0;
    const more = outcomeOf(client.kv.get('k'));
    await clock.settle();
    expect(attempts).toBe(1);
    await clock.advance(60_000);
    expect(more.settled).toBe(true);
  });
});
