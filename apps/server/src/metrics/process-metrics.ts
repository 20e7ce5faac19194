import { readdirSync, readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type MetricRegistry } from './registry.js';

const nanosecondsPerSecond = 1e9;

/** The metrics of the process, by Prometheus' usual names; dashboards and etcdctl's `check` read them. */
export function registerProcessMetrics(registry: MetricRegistry, startedAtUnixSeconds: number): void {
  registry.observedCounter(
    'process_cpu_seconds_total',
    'Total user and system CPU time spent in seconds.',
    () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  );
  registry.observed('process_resident_memory_bytes', 'Resident memory size in bytes.', () =>
    process.memoryUsage.rss(),
  );
  registry.observed(
    'process_start_time_seconds',
    'Start time of the process since unix epoch in seconds.',
    () => startedAtUnixSeconds,
  );
  registry.observed(
    'nodejs_heap_size_used_bytes',
    'Bytes of the JavaScript heap in use.',
    () => process.memoryUsage().heapUsed,
  );
  registry.observed(
    'nodejs_heap_size_total_bytes',
    'Bytes of the JavaScript heap.',
    () => process.memoryUsage().heapTotal,
  );
  registry.observed(
    'nodejs_external_memory_bytes',
    'Bytes outside the JavaScript heap that its objects hold.',
    () => process.memoryUsage().external,
  );
  if (process.platform === 'linux') {
    registry.observed(
      'process_open_fds',
      'Number of open file descriptors.',
      () => readdirSync('/proc/self/fd').length - 1,
    );
    registry.observed('process_max_fds', 'Maximum number of open file descriptors.', maxOpenFiles);
    registry.observed('process_virtual_memory_bytes', 'Virtual memory size in bytes.', virtualMemoryBytes);
  }
}

function maxOpenFiles(): number {
  const match = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  return match?.[1] === undefined || match[1] === 'unlimited' ? Number.POSITIVE_INFINITY : Number(match[1]);
}

function virtualMemoryBytes(): number {
  const match = /^VmSize:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(match?.[1] ?? 0) * 1024;
}

/**
 * Measures how late the event loop is: a stalled loop delays heartbeats and with them elections. The figures are those
 * since the previous scrape, so that a spike is seen once and not averaged away.
 *
 * @returns Stops measuring.
 */
export function registerEventLoopDelay(registry: MetricRegistry): () => void {
  const monitor = monitorEventLoopDelay({ resolution: 10 });
  monitor.enable();
  const help = 'Delay of the event loop since the previous scrape, in seconds.';
  const idle = 10e6;
  const seconds = (nanoseconds: number): number =>
    Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds - idle) / nanosecondsPerSecond : 0;
  const quantile =
    (q: number): (() => number) =>
    () =>
      seconds(monitor.percentile(q));
  registry.observed('conclave_event_loop_delay_seconds', help, quantile(50), { quantile: '0.5' });
  registry.observed('conclave_event_loop_delay_seconds', help, quantile(90), { quantile: '0.9' });
  registry.observed('conclave_event_loop_delay_seconds', help, quantile(99), { quantile: '0.99' });
  registry.observed(
    'conclave_event_loop_delay_max_seconds',
    'Longest delay since the previous scrape, in seconds.',
    () => {
      const longest = seconds(monitor.max);
      monitor.reset();
      return longest;
    },
  );
  return () => void monitor.disable();
}
