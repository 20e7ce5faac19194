import { currentKey } from '@conclave/config-model';
import { GrpcStatus } from '@conclave/protocol';
import { of } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClient, StoreClient } from '../client.js';
import { configClass } from '../config/config-class.js';
import { FakeCenter } from '../config/testing/fake-center.js';
import { type ConnectionState } from '../connection/connection-state.js';
import { FakeNetwork } from '../testing/fake-transport.js';
import { FakeWorld } from '../testing/fake-client.js';
import { VirtualClock } from '../testing/virtual-clock.js';
import { TransportError } from '../transport.js';
import { observedHost } from './observed-host.js';
import { openTelemetry } from './open-telemetry.js';
import { telemetryOf } from './telemetry.js';
import { type LoggerLike, type TelemetryOptions } from './telemetry-options.js';
import { RecordingOpenTelemetry } from './testing/recording-open-telemetry.js';

let recording: RecordingOpenTelemetry;
let telemetry: TelemetryOptions;
beforeEach(() => {
  recording = new RecordingOpenTelemetry();
  telemetry = openTelemetry(recording.begin());
});
afterEach(() => recording.end());

/** A logger that remembers everything it was given. */
function recordingLogger(): { readonly lines: string[]; readonly logger: LoggerLike } {
  const lines: string[] = [];
  const at = (level: string) => (message: string, fields?: object) =>
    lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
  return { lines, logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } };
}

function clientOf(
  world: FakeWorld,
  options: TelemetryOptions,
  config?: { app: string; cache: false },
): StoreClient {
  const runtime = { clock: world.clock, random: () => 0.5 };
  const host = { identity: 'host:9', warn: (w: never) => world.warnings.push(w), exit: () => undefined };
  const connected: ConnectionState = {
    kind: 'connected',
    endpoint: 'memory',
    clusterId: 0x1001n,
    revision: 1n,
    raftTerm: 2n,
  };
  const network = { connection$: of(connected), ready: () => Promise.resolve(), close: () => undefined };
  const backoff = { baseMs: 100, maxMs: 1_000, jitter: 'full' } as const;
  const observed = observedHost(host, telemetryOf(options));
  return new StoreClient(world.store, runtime, backoff, '', network, observed, config);
}

describe('spans', () => {
  it('tells of a lock: how it was acquired, and for how long it was held, with the work below it', async () => {
    const world = new FakeWorld();
    const other = await world.client().locks.mutex('m').acquire();
    const client = clientOf(world, telemetry);
    const running = client.locks.mutex('m').run(async () => {
      await telemetry.tracer?.startActiveSpan('work', {}, async (span) => {
        await world.clock.advance(0);
        span.end();
      });
    });
    await world.clock.advance(2_000);
    await other.release();
    await world.clock.advance(1_000);
    await running;
    const [acquire] = recording.named('conclave.lock.acquire');
    expect(acquire).toMatchObject({
      hasEnded: true,
      errors: [],
      attributes: {
        'conclave.lock.name': 'm',
        'conclave.lock.queue_length': 1,
        'conclave.lock.acquired': true,
        'conclave.lock.wait_ms': expect.any(Number) as number,
        'conclave.lock.token': expect.stringMatching(/^\d+$/) as string,
      },
    });
    expect(acquire?.attributes['conclave.lock.wait_ms']).toBeGreaterThanOrEqual(2_000);
    const [hold] = recording.named('conclave.lock.hold');
    expect(hold).toMatchObject({ hasEnded: true, errors: [] });
    expect(hold?.attributes['conclave.lock.token']).toBe(acquire?.attributes['conclave.lock.token']);
    expect(recording.named('work')[0]?.parent).toBe(hold?.spanId);
    expect(recording.spans.every((span) => span.hasEnded)).toBe(true);
  });

  it('says of a lock that was lost, or not free, what became of it', async () => {
    const world = new FakeWorld();
    const client = clientOf(world, telemetry);
    const handle = await client.locks.mutex('m').acquire();
    expect(await world.client().locks.mutex('m').tryAcquire()).toBeNull();
    expect(await clientOf(world, telemetry).locks.mutex('m').tryAcquire()).toBeNull();
    expect(recording.named('conclave.lock.acquire')[1]?.attributes).toMatchObject({
      'conclave.lock.acquired': false,
    });
    expect(recording.named('conclave.lock.hold')[0]?.hasEnded).toBe(false);
    world.store.deleteKey(handle.key);
    await world.clock.advance(1_000);
    expect(recording.named('conclave.lock.hold')[0]).toMatchObject({
      hasEnded: true,
      errors: ["lock 'm' is lost: key-deleted"],
    });
    expect(recording.sums.get('conclave_client_losses_total{kind=lock,reason=key-deleted}')).toBe(1);
  });

  it('tells of a campaign, also of one that fails, and counts a lost leadership and its lease', async () => {
    const world = new FakeWorld();
    const client = clientOf(world, telemetry);
    const leadership = await client.elections.election('e').campaign();
    await expect(clientOf(world, telemetry).elections.election('e').campaign({ wait: 0 })).rejects.toThrow();
    const [won, failed] = recording.named('conclave.campaign');
    expect(won?.attributes).toMatchObject({
      'conclave.election.name': 'e',
      'conclave.election.token': String(leadership.term),
    });
    expect(failed).toMatchObject({ hasEnded: true, errors: ["election 'e' is taken"] });
    world.store.expireLease(leadership.leaseId);
    await world.clock.advance(20_000);
    const losses = [...recording.sums].filter(([name]) => name.startsWith('conclave_client_losses_total'));
    expect(losses.map(([name]) => name.replace(/,.*/, '')).sort()).toEqual([
      'conclave_client_losses_total{kind=leadership',
      'conclave_client_losses_total{kind=lease',
    ]);
    expect(recording.measurements.get('conclave_client_keepalive_delay_seconds{}')?.[0]).toBe(0);
  });

  it('tells of applied configuration, with what its handlers do below it', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'limit: 1' } });
    const client = clientOf(center.world, telemetry, { app: 'shop', cache: false });
    const Billing = configClass<{ limit: number }>({
      name: 'Billing',
      namespace: 'billing',
      validate: (values) => ({ value: { limit: Number(values['limit']) } }),
    });
    const starting = client.config.ref(Billing);
    await center.clock.advance(1_000);
    const ref = await starting;
    ref.changes$.subscribe(() => telemetry.tracer?.startActiveSpan('handler', {}, (span) => span.end()));
    center.publish({ billing: { content: 'limit: 2' } });
    await center.clock.advance(1_000);
    expect(ref.value.limit).toBe(2);
    const [first, second] = recording.named('conclave.config.apply');
    expect(first?.attributes).toMatchObject({ 'conclave.config.cause': 'initial' });
    expect(second?.attributes).toMatchObject({
      'conclave.config.releases': 'billing=2',
      'conclave.config.cause': 'change',
    });
    expect(second).toMatchObject({ hasEnded: true, parent: undefined });
    expect(recording.named('handler')[0]?.parent).toBe(second?.spanId);
    await client.close();
  });

  it('tells of a resync, and counts it by its reason', async () => {
    const world = new FakeWorld();
    const { lines, logger } = recordingLogger();
    const client = clientOf(world, { ...telemetry, logger });
    client.watch.events('k/', { prefix: true }).subscribe();
    await world.clock.settle();
    world.store.partition();
    world.store.putKey('k/a', 'hunter2');
    world.store.putKey('k/b', 'hunter2');
    world.store.compactTo(world.store.revision);
    world.store.heal();
    await world.clock.advance(1_000);
    expect(recording.named('conclave.watch.resync')).toMatchObject([
      {
        hasEnded: true,
        attributes: {
          'conclave.watch.range': 'k/',
          'conclave.watch.reason': 'compacted',
          'conclave.watch.changes': 2,
          'conclave.revision': '3',
        },
      },
    ]);
    expect(recording.sums.get('conclave_client_watch_resyncs_total{reason=compacted}')).toBe(1);
    expect(lines).toEqual([
      'info connected to memory {"endpoint":"memory","clusterId":"1001","revision":"1"}',
      `info the watch on 'k/' was read again (compacted): 2 changes {"reason":"compacted","revision":"3"}`,
    ]);
  });

  it('ends the span of a resync that is given up', async () => {
    const world = new FakeWorld();
    const watching = clientOf(world, telemetry).watch.events('k').subscribe();
    await world.clock.settle();
    const answer = world.store.holdAnswer('range');
    world.store.putKey('k', '1');
    world.store.replaceStore();
    await world.clock.advance(2_000);
    watching.unsubscribe();
    answer();
    expect(recording.named('conclave.watch.resync').every((span) => span.hasEnded)).toBe(true);
  });
});

describe('calls', () => {
  function network() {
    const clock = new VirtualClock();
    const net = new FakeNetwork((ms, callback) => clock.setTimer(ms, callback));
    const member = net.add('a:1');
    const connect = (options?: TelemetryOptions) =>
      createClient({
        endpoints: ['a:1'],
        transport: net.factory,
        clock,
        random: () => 0.5,
        ...(options === undefined ? {} : { telemetry: options }),
      });
    const sent = (method: string) =>
      net.calls.filter((call) => call.path.endsWith(method)).map((c) => c.metadata);
    return { clock, net, member, connect, sent };
  }

  it('carry the span that they are made in, and nothing outside of one', async () => {
    const { connect, sent, net, clock } = network();
    const client = connect(telemetry);
    await client.kv.get('k');
    await telemetry.tracer?.startActiveSpan('outer', {}, async (span) => {
      await client.kv.get('k');
      client.watch.events('k', { fromRevision: 1n, trackKeys: false }).subscribe();
      await clock.settle();
      span.end();
    });
    const [outer] = recording.named('outer');
    const traceparent = `00-${outer?.traceId}-${outer?.spanId}-01`;
    expect(sent('Range')).toEqual([
      expect.not.objectContaining({ traceparent: expect.anything() as string }) as object,
      expect.objectContaining({ traceparent }) as object,
    ]);
    expect(net.streams[0]?.metadata).toMatchObject({ traceparent });
    await client.close();
  });

  it('carry the innermost span of this client when nobody says which one is active', async () => {
    const { connect, sent } = network();
    const { tracer } = telemetry;
    const client = connect(tracer === undefined ? {} : { tracer });
    const attempt = client.locks.mutex('m', { ttl: '5s' }).tryAcquire();
    await attempt.catch(() => null);
    const [acquire] = recording.named('conclave.lock.acquire');
    expect(sent('LeaseGrant')[0]).toMatchObject({
      traceparent: `00-${acquire?.traceId}-${acquire?.spanId}-01`,
    });
    await client.close();
  });

  it('are counted by method and code, measured, and counted when they are repeated', async () => {
    const { connect, member, clock } = network();
    const client = connect(telemetry);
    let failures = 2;
    const { answer } = member;
    member.answer = (path, request, options) => {
      failures -= 1;
      if (failures >= 0)
        return Promise.reject(new TransportError(GrpcStatus.Unavailable, 'etcdserver: no leader', true));
      return answer?.(path, request, options) ?? Promise.resolve(new Uint8Array());
    };
    const reading = client.kv.get('k');
    await clock.advance(3_000);
    await reading;
    expect(recording.sums.get('conclave_client_calls_total{method=KV/Range,code=Unavailable}')).toBe(2);
    expect(recording.sums.get('conclave_client_calls_total{method=KV/Range,code=OK}')).toBe(1);
    expect(recording.sums.get('conclave_client_retries_total{method=KV/Range}')).toBe(2);
    expect(recording.measurements.get('conclave_client_call_seconds{method=KV/Range}')).toHaveLength(3);
    await client.close();
  });

  it('carry nothing of a trace without telemetry', async () => {
    const { connect, sent } = network();
    const client = connect();
    await client.kv.get('k');
    expect(sent('Range')[0]).not.toHaveProperty('traceparent');
    await client.close();
  });
});

describe('lines', () => {
  it('tell of a lost connection, a lost lease and a refused release, and never of a value', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'password: hunter2' } });
    const { lines, logger } = recordingLogger();
    const client = clientOf(center.world, { ...telemetry, logger }, { app: 'shop', cache: false });
    client.config.document$('billing').subscribe();
    await center.clock.advance(1_000);
    const key = currentKey({ env: 'dev', app: 'shop', namespace: 'billing' });
    center.store.putKey(key, '{"password":"hunter2"');
    await center.clock.advance(1_000);
    const lease = await client.leases.grant({ ttl: '5s' });
    center.store.expireLease(lease.id);
    await center.clock.advance(3_000);
    expect(lines.map((line) => line.split(' ')[0])).toEqual(['info', 'warn', 'warn']);
    expect(lines[1]).toContain('release-rejected');
    expect(lines[2]).toContain(`lease ${lease.id.toString(16)} is lost`);
    expect(lines.join()).not.toContain('hunter2');
    expect(recording.sums.get('conclave_client_config_rejections_total{namespace=billing}')).toBe(1);
    expect(center.warnings).toHaveLength(1);
    await client.close();
  });
});
