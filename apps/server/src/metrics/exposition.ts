import { Counter, Gauge, Histogram, type Metric, Registry } from 'prom-client';
import { type Family, type LabelledHistogram, type MetricRegistry, type Sample } from './registry.js';

/**
 * Renders a registry in Prometheus' text format. This module loads prom-client, so that it is imported when the first
 * scrape comes and never on the way to readiness. Each family is one metric of prom-client that takes over our numbers
 * when prom-client's registry asks for them.
 */
export class Exposition {
  readonly #registry = new Registry();
  readonly #known = new Set<string>();

  constructor(private readonly source: MetricRegistry) {}

  get contentType(): string {
    return this.#registry.contentType;
  }

  async render(): Promise<string> {
    for (const family of this.source.families.values()) {
      if (this.#known.has(family.name)) continue;
      this.#known.add(family.name);
      this.#registry.registerMetric(metricOf(family));
    }
    return this.#registry.metrics();
  }
}

/** An empty list keeps prom-client from registering a metric in its global registry too. */
const nowhere = { registers: [] };

type Collect = () => Sample[];

function metricOf(family: Family): Metric<string> {
  const { name, help } = family;
  if (family.kind === 'histogram') return new CopiedHistogram(name, help, family.series);
  const collect: Collect = () => [...family.sources.values()].flatMap((source) => [...source()]);
  return family.kind === 'gauge'
    ? new CopiedGauge(name, help, collect)
    : new CopiedCounter(name, help, collect);
}

class CopiedGauge extends Gauge {
  constructor(
    name: string,
    help: string,
    private readonly collected: Collect,
  ) {
    super({ name, help, ...nowhere });
  }

  override async get(): ReturnType<Gauge['get']> {
    return {
      ...(await super.get()),
      values: this.collected().map(({ labels, value }) => ({ labels: { ...labels }, value })),
    };
  }
}

class CopiedCounter extends Counter {
  constructor(
    name: string,
    help: string,
    private readonly collected: Collect,
  ) {
    super({ name, help, ...nowhere });
  }

  override async get(): ReturnType<Counter['get']> {
    return {
      ...(await super.get()),
      values: this.collected().map(({ labels, value }) => ({ labels: { ...labels }, value })),
    };
  }
}

interface HistogramValue {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

class CopiedHistogram extends Histogram {
  readonly #envelope: { readonly name: string; readonly help: string };

  constructor(
    name: string,
    help: string,
    private readonly series: ReadonlyMap<string, LabelledHistogram>,
  ) {
    super({ name, help, ...nowhere });
    this.#envelope = { name, help };
  }

  /** The method by which prom-client's registry asks a histogram, and no other metric, for what it writes. */
  getForPromString(): Promise<object> {
    const values: HistogramValue[] = [];
    for (const entry of this.series.values()) values.push(...histogramValues(this.#envelope.name, entry));
    return Promise.resolve({ ...this.#envelope, type: 'histogram', values, aggregator: 'sum' });
  }
}

function histogramValues(name: string, { labels, histogram }: LabelledHistogram): HistogramValue[] {
  const values: HistogramValue[] = [];
  let cumulative = 0;
  histogram.bounds.forEach((bound, bucket) => {
    cumulative += histogram.counts[bucket] as number;
    values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: bound }, value: cumulative });
  });
  values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: histogram.count });
  values.push({ metricName: `${name}_sum`, labels, value: histogram.sum });
  values.push({ metricName: `${name}_count`, labels, value: histogram.count });
  return values;
}
