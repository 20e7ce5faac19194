import { etcdserverpb as pb, GrpcStatus, protocolErrors } from '@conclave/protocol';
import { BehaviorSubject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { type ClientOptions, createClient } from '../client.js';
import { outcomeOf } from '../testing/outcome.js';
import { FakeNetwork } from '../testing/fake-transport.js';
import { VirtualClock } from '../testing/virtual-clock.js';
import { TransportError } from '../transport.js';

function world(options: Partial<ClientOptions> = {}, names: readonly string[] = ['a', 'b', 'c']) {
  const clock = new VirtualClock();
  const network = new FakeNetwork((ms, callback) => clock.setTimer(ms, callback));
  for (const name of names) network.add(name);
  const client = createClient({
    endpoints: names,
    clock,
    random: () => 0.25,
    transport: network.factory,
    ...options,
  });
  const states: string[] = [];
  client.connection$.subscribe((state) =>
    states.push(state.kind === 'connected' ? `connected ${state.endpoint}` : state.kind),
  );
  return { clock, network, client, states };
}

const range = (revision: bigint, clusterId = 1n) =>
  pb.RangeResponse.encode(
    pb.RangeResponse.create({ header: { cluster_id: clusterId, member_id: 1n, revision, raft_term: 3n } }),
  ).finish();

const failWith =
  (code: GrpcStatus, message: string, sent = true) =>
  () =>
    Promise.reject(new TransportError(code, message, sent));

describe('connection', () => {
  it('connects on first use and not before, to one member', async () => {
    const { clock, network, client, states } = world();
    await clock.settle();
    expect(network.calls).toEqual([]);
    await client.ready();
    expect(states).toEqual(['idle', 'connecting', 'connected a']);
    expect(network.connections).toEqual(['a']);
  });

  it('goes to the next member when one is down, in one round and without a pause', async () => {
    const { network, client, states } = world();
    network.crash('a');
    await client.ready();
    expect(states.at(-1)).toBe('connected b');
  });

  it('prefers a member that has a leader, and takes one without when there is no better', async () => {
    const { network, client, states } = world();
    for (const name of ['a', 'c']) Object.assign(network.members.get(name) ?? {}, { hasLeader: false });
    await client.ready();
    expect(states.at(-1)).toBe('connected b');
    expect(network.connections).toEqual(['b']);
    const alone = world({}, ['x']);
    Object.assign(alone.network.members.get('x') ?? {}, { hasLeader: false });
    await alone.client.ready();
    expect(alone.states.at(-1)).toBe('connected x');
  });

  it('says why the attempt before failed', async () => {
    const { clock, network, client } = world();
    for (const name of ['a', 'b', 'c']) network.crash(name);
    const reasons: (string | undefined)[] = [];
    client.connection$.subscribe((state) => {
      if (state.kind === 'connecting') reasons.push(state.lastError?.message);
    });
    void client.ready().catch(() => undefined);
    await clock.advance(100);
    expect(reasons.slice(0, 2)).toEqual([undefined, 'connection refused']);
    await client.close();
  });

  it('pauses longer and longer between rounds, and says when the next one is', async () => {
    const { clock, network, client } = world({ retry: { base: 100, max: 400 } });
    for (const name of ['a', 'b', 'c']) network.crash(name);
    const pauses: number[] = [];
    client.connection$.subscribe((state) => {
      if (state.kind === 'connecting' && state.nextRetryAt !== undefined)
        pauses.push(state.nextRetryAt - clock.wall());
    });
    const ready = outcomeOf(client.ready());
    await clock.advance(400);
    expect(pauses.slice(0, 4)).toEqual([25, 50, 100, 100]);
    Object.assign(network.members.get('c') ?? {}, { mode: 'up' });
    await clock.advance(200);
    expect(ready).toEqual({ settled: true, value: undefined });
    expect(network.connections).toEqual(['c']);
  });

  it('does not wait for a member that takes the connection and says nothing', async () => {
    const { clock, network, client, states } = world({ dialTimeout: '1s' });
    Object.assign(network.members.get('a') ?? {}, { mode: 'silent' });
    const ready = client.ready();
    await clock.advance(1_000);
    await ready;
    expect(states.at(-1)).toBe('connected b');
  });

  it('fails over when the connection is lost: reads go on, streams end, the state tells', async () => {
    const { clock, network, client, states } = world();
    await client.ready();
    const batches = outcomeOf(
      new Promise((resolve) =>
        client.watch.events('k', { fromRevision: 5n, trackKeys: false }).subscribe(resolve),
      ),
    );
    await clock.settle();
    Object.assign(network.members.get('a') ?? {}, { answer: () => new Promise(() => undefined) });
    const read = outcomeOf(client.kv.get('k'));
    await clock.settle();
    network.crash('a');
    await clock.advance(200);
    expect(states.slice(2)).toEqual(['connected a', 'suspended', 'connected b']);
    expect(read).toEqual({ settled: true, value: null });
    expect(network.streams.map((stream) => stream.endpoint)).toEqual(['a', 'b']);
    expect(batches.settled).toBe(false);
  });

  it('P11 does not repeat a write whose connection was lost before the answer', async () => {
    const { clock, network, client } = world();
    await client.ready();
    Object.assign(network.members.get('a') ?? {}, { answer: () => new Promise(() => undefined) });
    const write = outcomeOf(client.kv.put('k', 'v'));
    await clock.settle();
    network.crash('a');
    await clock.advance(1_000);
    expect(write.error).toMatchObject({ code: 'maybe-applied', endpoint: 'a', retryable: false });
    expect(network.calls.filter((call) => call.path.endsWith('/Put'))).toHaveLength(1);
  });

  it('P11 repeats a write that provably was not sent, or was refused before it was proposed', async () => {
    const { clock, network, client } = world();
    await client.ready();
    let attempts = 0;
    const notSent = failWith(GrpcStatus.Unavailable, 'refused stream', false);
    const tooMany = failWith(GrpcStatus.ResourceExhausted, protocolErrors.RequestTooManyRequests.message);
    const answer = (): Promise<Uint8Array> => {
      attempts += 1;
      if (attempts === 1) return notSent();
      return attempts === 2 ? tooMany() : Promise.resolve(range(11n));
    };
    for (const member of network.members.values()) member.answer = answer;
    const write = outcomeOf(client.kv.put('k', 'v'));
    await clock.advance(1_000);
    expect(write.value).toMatchObject({ revision: 11n });
    expect(attempts).toBe(3);
  });

  it('P11 names the outcome of a write by what the server said', async () => {
    const { clock, network, client } = world({}, ['a']);
    await client.ready();
    const member = network.members.get('a');
    const put = async (code: GrpcStatus, message: string) => {
      if (member !== undefined) member.answer = failWith(code, message);
      const write = outcomeOf(client.kv.put('k', 'v', { timeoutMs: 500 }));
      await clock.advance(600);
      return write.error?.code;
    };
    expect(await put(GrpcStatus.Unavailable, protocolErrors.Timeout.message)).toBe('maybe-applied');
    expect(await put(GrpcStatus.Unavailable, protocolErrors.LeaderChanged.message)).toBe('maybe-applied');
    expect(await put(GrpcStatus.DeadlineExceeded, 'context deadline exceeded')).toBe('maybe-applied');
    expect(await put(GrpcStatus.Unavailable, protocolErrors.NoLeader.message)).toBe('unavailable');
    expect(await put(GrpcStatus.PermissionDenied, protocolErrors.PermissionDenied.message)).toBe(
      'unauthorized',
    );
    expect(await put(GrpcStatus.ResourceExhausted, protocolErrors.NoSpace.message)).toBe(
      'resource-exhausted',
    );
  });

  it('gives up a call at the request timeout, and says that it was not sent when it was not', async () => {
    const { clock, network, client } = world({ requestTimeout: '3s' });
    for (const name of ['a', 'b', 'c']) network.crash(name);
    const write = outcomeOf(client.kv.put('k', 'v'));
    await clock.advance(2_999);
    expect(write.settled).toBe(false);
    await clock.advance(1);
    expect(write.error).toMatchObject({ code: 'timeout', retryable: true });
    expect(write.error?.message).toContain('not sent');
  });

  it('leaves a member that does not answer when it does not answer a probe either', async () => {
    const { clock, network, client, states } = world({ requestTimeout: '1s', dialTimeout: '1s' });
    await client.ready();
    Object.assign(network.members.get('a') ?? {}, { mode: 'silent' });
    const read = outcomeOf(client.kv.get('k'));
    await clock.advance(2_200);
    expect(read.error).toMatchObject({ code: 'timeout' });
    expect(states.at(-1)).toBe('connected b');
  });

  it('stays with a member whose probe is answered after one slow call', async () => {
    const { clock, network, client, states } = world({ requestTimeout: '1s' });
    await client.ready();
    Object.assign(network.members.get('a') ?? {}, { answer: () => new Promise(() => undefined) });
    outcomeOf(client.kv.get('k'));
    await clock.advance(5_000);
    expect(states.at(-1)).toBe('connected a');
  });

  it('rotates away from a member without a leader, and requires one for watches and leases', async () => {
    const { clock, network, client, states } = world();
    await client.ready();
    const watching = client.watch.events('k', { fromRevision: 5n, trackKeys: false }).subscribe();
    await clock.settle();
    expect(network.streams[0]?.metadata).toMatchObject({ hasleader: 'true' });
    Object.assign(network.members.get('a') ?? {}, { hasLeader: false });
    network.streams[0]?.observer.end(
      new TransportError(GrpcStatus.Unavailable, protocolErrors.NoLeader.message, true),
    );
    await clock.advance(500);
    expect(states.at(-1)).toBe('connected b');
    expect(network.streams.at(-1)?.endpoint).toBe('b');
    watching.unsubscribe();
  });

  it('refuses a member of another cluster while one of its own is there, and never asks it anything', async () => {
    const { clock, network, client, states } = world();
    await client.ready();
    Object.assign(network.members.get('b') ?? {}, { clusterId: 2n });
    network.crash('a');
    await clock.advance(500);
    expect(states.at(-1)).toBe('connected c');
    await client.kv.get('k');
    expect(network.calls.filter((call) => call.endpoint === 'b' && !call.path.endsWith('/Status'))).toEqual(
      [],
    );
  });

  it('takes the store for replaced when all members that answer are of another cluster', async () => {
    const { clock, network, client, states } = world();
    await client.ready();
    const replaced: unknown[] = [];
    client.store.replaced$.subscribe((event) => replaced.push(event));
    for (const name of ['b', 'c']) Object.assign(network.members.get(name) ?? {}, { clusterId: 2n });
    network.crash('a');
    await clock.advance(500);
    expect(states.at(-1)).toBe('connected b');
    expect(replaced).toEqual([{ previousClusterId: 1n, clusterId: 2n }]);
  });

  it('P26 never accepts a serializable answer older than what was seen, and asks again through the leader', async () => {
    const { network, client } = world({}, ['a']);
    await client.ready();
    const member = network.members.get('a');
    const asked: boolean[] = [];
    if (member !== undefined) {
      member.answer = (_, request) => {
        const { serializable } = pb.RangeRequest.decode(request);
        asked.push(serializable);
        return Promise.resolve(range(serializable ? 7n : 20n));
      };
    }
    expect((await client.kv.range('k')).revision).toBe(20n);
    expect((await client.kv.range('k', { serializable: true })).revision).toBe(20n);
    expect(asked).toEqual([false, true, false]);
  });

  it('P26 takes a linearizable answer from the past for another store, once', async () => {
    const { network, client } = world({}, ['a']);
    await client.ready();
    const member = network.members.get('a');
    let revision = 20n;
    if (member !== undefined) member.answer = () => Promise.resolve(range(revision));
    await client.kv.get('k');
    revision = 3n;
    const replaced: unknown[] = [];
    client.store.replaced$.subscribe((event) => replaced.push(event));
    await expect(client.kv.get('k')).rejects.toMatchObject({ code: 'store-replaced' });
    expect((await client.kv.range('k')).revision).toBe(3n);
    expect(replaced).toHaveLength(1);
  });

  it('P26 two answers that cross each other are no sign of another store', async () => {
    const { clock, network, client } = world({}, ['a']);
    await client.ready();
    const member = network.members.get('a');
    const answers: ((bytes: Uint8Array) => void)[] = [];
    if (member !== undefined) member.answer = () => new Promise((resolve) => answers.push(resolve));
    const slow = outcomeOf(client.kv.range('k'));
    const fast = outcomeOf(client.kv.range('k'));
    await clock.settle();
    answers[1]?.(range(12n));
    await clock.settle();
    answers[0]?.(range(11n));
    await clock.settle();
    expect([slow.value?.revision, fast.value?.revision]).toEqual([11n, 12n]);
  });

  it('follows a list of endpoints that changes', async () => {
    const endpoints = new BehaviorSubject<readonly string[]>([]);
    const { clock, network, client, states } = world({ endpoints });
    const ready = outcomeOf(client.ready());
    await clock.advance(1_000);
    expect(ready.settled).toBe(false);
    endpoints.next(['b']);
    await clock.advance(1_000);
    expect(states.at(-1)).toBe('connected b');
    endpoints.next(['b', 'c']);
    await clock.settle();
    expect(states.at(-1)).toBe('connected b');
    endpoints.next(['c']);
    await clock.advance(1_000);
    expect(states.at(-1)).toBe('connected c');
    expect(network.connections).toEqual(['c']);
    await client.close();
    expect(endpoints.observed).toBe(false);
  });

  it('lets calls that run finish when it moves to another member', async () => {
    const endpoints = new BehaviorSubject<readonly string[]>(['a']);
    const { clock, network, client } = world({ endpoints });
    await client.ready();
    let finish: (bytes: Uint8Array) => void = () => undefined;
    Object.assign(network.members.get('a') ?? {}, {
      answer: () => new Promise<Uint8Array>((resolve) => (finish = resolve)),
    });
    const write = outcomeOf(client.kv.put('k', 'v'));
    await clock.settle();
    endpoints.next(['b']);
    await clock.advance(1_000);
    expect(network.connections).toEqual(['a', 'b']);
    finish(range(11n));
    await clock.settle();
    expect(write.value).toMatchObject({ revision: 11n });
    expect(network.connections).toEqual(['b']);
  });

  it('an abort ends the wait for a member, and a call under way', async () => {
    const { clock, network, client } = world();
    for (const name of ['a', 'b', 'c']) network.crash(name);
    const stop = new AbortController();
    const call = outcomeOf(client.kv.get('k', { signal: stop.signal }));
    const ready = outcomeOf(client.ready({ signal: stop.signal }));
    await clock.settle();
    stop.abort();
    await clock.settle();
    expect(call.error).toMatchObject({ name: 'AbortError', code: 'cancelled' });
    expect(ready.error).toMatchObject({ name: 'AbortError' });
  });

  it('closing ends everything and leaves no connection and no timer', async () => {
    const { clock, network, client, states } = world();
    await client.ready();
    Object.assign(network.members.get('a') ?? {}, { answer: () => new Promise(() => undefined) });
    const read = outcomeOf(client.kv.get('k'));
    let completed = false;
    client.watch
      .events('k', { fromRevision: 5n, trackKeys: false })
      .subscribe({ complete: () => (completed = true) });
    await clock.settle();
    await client.close();
    await clock.advance(10_000);
    expect(read.error).toMatchObject({ code: 'closed' });
    expect(completed).toBe(true);
    expect(states.at(-1)).toBe('closed');
    expect(network.connections).toEqual([]);
    expect(clock.timers).toBe(0);
  });

  it('refuses options that cannot work, with what is allowed', () => {
    const make = (options: Partial<ClientOptions>) => () => createClient({ endpoints: ['a'], ...options });
    expect(make({ endpoints: [] })).toThrow('at least one address');
    expect(make({ endpoints: ['http://a b'] })).toThrow('no address');
    expect(make({ requestTimeout: 0 })).toThrow('requestTimeout');
    expect(make({ requestTimeout: '5 minutes' as '5m' })).toThrow("'15s'");
    expect(make({ retry: { base: '2s', max: '1s' } })).toThrow('retry.max');
  });
});
