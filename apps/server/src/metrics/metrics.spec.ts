import { GrpcServer, type MethodStats, type ServerStats } from '@conclave/grpc';
import { GrpcStatus } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { AssertionError } from '../engine/platform/assert.js';
import { Exposition } from './exposition.js';
import { observeGrpcDurations, registerGrpcMetrics } from './grpc-metrics.js';
import { BucketHistogram } from './instruments.js';
import { registerEventLoopDelay, registerProcessMetrics } from './process-metrics.js';
import { registerQuantiles } from './quantiles.js';
import { MetricRegistry } from './registry.js';
import { registerServerMetrics } from './server-metrics.js';

const valueOf = (text: string, series: string): number => {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? Number.NaN : Number(line.slice(series.length + 1));
};

describe('MetricRegistry', () => {
  it('gives the same instrument for the same name and labels', () => {
    const registry = new MetricRegistry();
    expect(registry.counter('a_total', 'A.')).toBe(registry.counter('a_total', 'A.'));
    expect(registry.counter('a_total', 'A.', { x: '1' })).not.toBe(
      registry.counter('a_total', 'A.', { x: '2' }),
    );
  });

  it('refuses one name for two kinds and names that Prometheus would not take', () => {
    const registry = new MetricRegistry();
    registry.counter('a_total', 'A.');
    expect(() => registry.gauge('a_total', 'A.')).toThrow(AssertionError);
    expect(() => registry.gauge('a-b', 'A.')).toThrow(AssertionError);
  });
});

describe('BucketHistogram', () => {
  it('puts a value that equals a bound into that bucket', () => {
    const histogram = new BucketHistogram([1, 2]);
    for (const value of [0.5, 1, 1.5, 2, 3]) histogram.observe(value);
    expect([...histogram.counts]).toEqual([2, 2, 1]);
    expect(histogram.sum).toBe(8);
  });

  it('estimates quantiles within the bucket', () => {
    const histogram = new BucketHistogram([10, 20]);
    expect(histogram.quantile(0.5)).toBeNaN();
    for (let i = 0; i < 10; i++) histogram.observe(15);
    expect(histogram.quantile(0.5)).toBe(15);
    histogram.observe(1_000);
    expect(histogram.quantile(1)).toBe(20);
  });

  it('refuses bounds that do not ascend', () => {
    expect(() => new BucketHistogram([2, 1])).toThrow(AssertionError);
  });
});

describe('Exposition', () => {
  it('renders every kind with the numbers at the time of the scrape', async () => {
    const registry = new MetricRegistry();
    const exposition = new Exposition(registry);
    const counter = registry.counter('etcd_server_proposals_committed_total', 'Committed.');
    registry.gauge('etcd_server_has_leader', 'Leader.').set(1);
    let observed = 7;
    registry.observed('conclave_queue_bytes', 'Queue.', () => observed);
    const fsync = registry.histogram('etcd_disk_wal_fsync_duration_seconds', 'Fsync.', [0.001, 0.002]);
    fsync.observe(0.0015);
    counter.add(3);
    expect(valueOf(await exposition.render(), 'etcd_server_proposals_committed_total')).toBe(3);
    counter.add(2);
    observed = 8;
    const text = await exposition.render();
    expect(valueOf(text, 'etcd_server_proposals_committed_total')).toBe(5);
    expect(valueOf(text, 'etcd_server_has_leader')).toBe(1);
    expect(valueOf(text, 'conclave_queue_bytes')).toBe(8);
    expect(text).toContain('# TYPE etcd_disk_wal_fsync_duration_seconds histogram');
    expect(valueOf(text, 'etcd_disk_wal_fsync_duration_seconds_bucket{le="0.001"}')).toBe(0);
    expect(valueOf(text, 'etcd_disk_wal_fsync_duration_seconds_bucket{le="0.002"}')).toBe(1);
    expect(valueOf(text, 'etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"}')).toBe(1);
    expect(valueOf(text, 'etcd_disk_wal_fsync_duration_seconds_count')).toBe(1);
  });

  it('shows instruments that came after the first scrape', async () => {
    const registry = new MetricRegistry();
    const exposition = new Exposition(registry);
    await exposition.render();
    registry.counter('late_total', 'Late.').add(1);
    expect(valueOf(await exposition.render(), 'late_total')).toBe(1);
  });
});

/** Counts as a gRPC server with one method does. */
function grpcStats(): { readonly method: MethodStats; readonly stats: ServerStats } {
  const server = new GrpcServer();
  server.register('/etcdserverpb.KV/Range', { kind: 'unary', handle: () => undefined });
  server.register('/etcdserverpb.Watch/Watch', {
    kind: 'stream',
    open: () => ({ message: () => undefined, halfClose: () => undefined, cancel: () => undefined }),
  });
  const method = server.stats.methods.get('/etcdserverpb.KV/Range');
  if (method === undefined) throw new Error('the method is registered');
  return { method, stats: server.stats };
}

describe('gRPC metrics', () => {
  it("counts under the labels of etcd's dashboards", async () => {
    const registry = new MetricRegistry();
    const { method, stats } = grpcStats();
    registerGrpcMetrics(registry, () => stats);
    method.started = 3;
    method.noteHandled(GrpcStatus.OK);
    method.noteHandled(GrpcStatus.OutOfRange);
    const text = await new Exposition(registry).render();
    const labels = 'grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Range"';
    expect(valueOf(text, `grpc_server_started_total{${labels}}`)).toBe(3);
    expect(valueOf(text, `grpc_server_handled_total{${labels},grpc_code="OK"}`)).toBe(1);
    expect(valueOf(text, `grpc_server_handled_total{${labels},grpc_code="OutOfRange"}`)).toBe(1);
    expect(text).toContain(
      'grpc_server_started_total{grpc_type="bidi_stream",grpc_service="etcdserverpb.Watch",grpc_method="Watch"} 0',
    );
  });

  it('observes durations per method', async () => {
    const registry = new MetricRegistry();
    const { method } = grpcStats();
    const observe = observeGrpcDurations(registry);
    observe(method, GrpcStatus.OK, 20);
    observe(method, GrpcStatus.OK, 7_000);
    const text = await new Exposition(registry).render();
    const labels = 'grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Range"';
    expect(valueOf(text, `grpc_server_handling_seconds_count{${labels}}`)).toBe(2);
    expect(valueOf(text, `grpc_server_handling_seconds_bucket{${labels},le="0.025"}`)).toBe(1);
  });
});

describe('registerQuantiles', () => {
  it('shows percentiles once there are observations', async () => {
    const registry = new MetricRegistry();
    registerQuantiles(registry);
    const exposition = new Exposition(registry);
    expect(await exposition.render()).not.toContain('quantile="0.99"');
    registry.histogram('etcd_disk_wal_fsync_duration_seconds', 'Fsync.', [0.001, 0.002]).observe(0.0015);
    const text = await exposition.render();
    expect(valueOf(text, 'conclave_disk_wal_fsync_quantile_seconds{quantile="0.99"}')).toBeCloseTo(0.00199);
  });
});

describe('registerServerMetrics', () => {
  it('names the member, its version and the version of the cluster once decided', async () => {
    const registry = new MetricRegistry();
    const cluster: { version: string | undefined } = { version: undefined };
    registerServerMetrics(registry, {
      memberId: 0x8e9e05c52164694dn,
      serverVersion: '3.6.0',
      clusterVersion: () => cluster.version,
      raisedAlarms: () => [],
    });
    const exposition = new Exposition(registry);
    const early = await exposition.render();
    expect(early).toContain('etcd_server_id{server_id="8e9e05c52164694d"} 1');
    expect(early).not.toContain('cluster_version="');
    cluster.version = '3.6.0';
    expect(await exposition.render()).toContain('etcd_cluster_version{cluster_version="3.6"} 1');
  });

  it('shows each alarm while it is raised', async () => {
    const registry = new MetricRegistry();
    let raisedAlarms = [{ memberId: 0xabn, kind: 'NOSPACE' }];
    const identity = { memberId: 1n, serverVersion: '3.6.0', clusterVersion: () => undefined };
    registerServerMetrics(registry, { ...identity, raisedAlarms: () => raisedAlarms });
    const exposition = new Exposition(registry);
    const series = 'etcd_debugging_server_alarms{server_id="ab",alarm_type="NOSPACE"}';
    expect(valueOf(await exposition.render(), series)).toBe(1);
    raisedAlarms = [];
    expect(await exposition.render()).not.toContain(series);
  });
});

describe('process metrics', () => {
  it('reports memory, CPU and a late event loop', async () => {
    const registry = new MetricRegistry();
    registerProcessMetrics(registry, 1_700_000_000);
    const stop = registerEventLoopDelay(registry);
    const exposition = new Exposition(registry);
    await new Promise((resolve) => setTimeout(resolve, 30));
    const until = performance.now() + 120;
    while (performance.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 30));
    const text = await exposition.render();
    stop();
    expect(valueOf(text, 'process_start_time_seconds')).toBe(1_700_000_000);
    expect(valueOf(text, 'process_resident_memory_bytes')).toBeGreaterThan(1e6);
    expect(valueOf(text, 'process_cpu_seconds_total')).toBeGreaterThan(0);
    expect(valueOf(text, 'conclave_event_loop_delay_max_seconds')).toBeGreaterThan(0.08);
  });
});
