import { metricCatalogue, secondsBuckets } from './metric-catalogue.js';
import { type ClientMeter, type ClientMetric } from './telemetry-options.js';

interface Configuration {
  name: string;
  help: string;
  labelNames: string[];
  registers: never[];
}

/** What is used of the package prom-client: pass the package itself. */
export interface PromClientLike<R> {
  readonly Counter: new (configuration: Configuration) => {
    inc(labels: Record<string, string>, by: number): void;
  };
  readonly Histogram: new (configuration: Configuration & { buckets: number[] }) => {
    observe(labels: Record<string, string>, value: number): void;
  };
  readonly register: R;
}

/** What is used of a registry of prom-client. */
export interface PromRegistryLike {
  getSingleMetric(name: string): unknown;
}

interface CounterLike {
  inc(labels: Record<string, string>, by: number): void;
}
interface HistogramLike {
  observe(labels: Record<string, string>, value: number): void;
}

/**
 * A meter whose metrics are in a registry of prom-client: `prometheusMeter(await import('prom-client'))`. Clients that share a
 * registry share the metrics.
 *
 * @param registry default: the package's own, `register`.
 */
export function prometheusMeter<R extends PromRegistryLike>(
  prom: PromClientLike<R>,
  registry: PromRegistryLike = prom.register,
): ClientMeter {
  const counters = new Map<ClientMetric, CounterLike>();
  const histograms = new Map<ClientMetric, HistogramLike>();
  for (const [key, { kind, help, labels }] of Object.entries(metricCatalogue)) {
    const name = key as ClientMetric;
    const found = registry.getSingleMetric(name);
    const configuration: Configuration = {
      name,
      help,
      labelNames: [...labels],
      registers: [registry] as unknown as never[],
    };
    if (kind === 'counter') {
      counters.set(name, (found as CounterLike | undefined) ?? new prom.Counter(configuration));
    } else {
      const buckets = [...secondsBuckets];
      const made = (): HistogramLike => new prom.Histogram({ ...configuration, buckets });
      histograms.set(name, (found as HistogramLike | undefined) ?? made());
    }
  }
  return {
    count: (name, labels, by = 1) => counters.get(name)?.inc({ ...labels }, by),
    measure: (name, labels, seconds) => histograms.get(name)?.observe({ ...labels }, seconds),
  };
}
