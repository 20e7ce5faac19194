import { assert } from '../engine/platform/assert.js';
import {
  type Counter,
  type Gauge,
  type Histogram,
  type Labels,
  type Meter,
} from '../engine/platform/meter.js';
import { BucketHistogram, NumberCounter, NumberGauge } from './instruments.js';

export type NumberKind = 'counter' | 'gauge';

/** The value of one time series at the moment of a scrape. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** All series of one name. Their labels have the same names and differ in their values. */
export type Family =
  | {
      readonly kind: NumberKind;
      readonly name: string;
      readonly help: string;
      readonly sources: Map<string, () => Iterable<Sample>>;
    }
  | {
      readonly kind: 'histogram';
      readonly name: string;
      readonly help: string;
      readonly series: Map<string, LabelledHistogram>;
    };

export interface LabelledHistogram {
  readonly labels: Labels;
  readonly histogram: BucketHistogram;
}

const validName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/**
 * The instruments of the process, by name and labels. Asking twice for the same one gives the same instrument, so hot
 * paths ask once and keep what they got.
 */
export class MetricRegistry implements Meter {
  readonly #families = new Map<string, Family>();
  readonly #instruments = new Map<string, NumberCounter | NumberGauge>();

  get families(): ReadonlyMap<string, Family> {
    return this.#families;
  }

  counter(name: string, help: string, labels: Labels = {}): Counter {
    return this.#instrument('counter', name, help, labels, () => new NumberCounter());
  }

  gauge(name: string, help: string, labels: Labels = {}): Gauge {
    return this.#instrument('gauge', name, help, labels, () => new NumberGauge());
  }

  histogram(
    name: string,
    help: string,
    buckets: readonly number[],
    labels: Labels = {},
  ): BucketHistogram & Histogram {
    assert(validName.test(name), `"${name}" is a metric name`);
    const family = this.#families.get(name) ?? {
      kind: 'histogram',
      name,
      help,
      series: new Map<string, LabelledHistogram>(),
    };
    assert(family.kind === 'histogram', `metric ${name} is a ${family.kind}, not a histogram`);
    this.#families.set(name, family);
    const key = JSON.stringify(labels);
    let entry = family.series.get(key);
    if (entry === undefined) {
      entry = { labels, histogram: new BucketHistogram(buckets) };
      family.series.set(key, entry);
    }
    return entry.histogram;
  }

  observed(name: string, help: string, read: () => number, labels: Labels = {}): void {
    this.#observe('gauge', name, help, read, labels);
  }

  /** A counter whose value is asked for when metrics are read; it must never go down. */
  observedCounter(name: string, help: string, read: () => number, labels: Labels = {}): void {
    this.#observe('counter', name, help, read, labels);
  }

  /** A family all of whose series are asked for when metrics are read. */
  collected(kind: NumberKind, name: string, help: string, collect: () => Iterable<Sample>): void {
    this.#addSource(kind, name, help, 'all', collect);
  }

  #observe(kind: NumberKind, name: string, help: string, read: () => number, labels: Labels): void {
    this.#addSource(kind, name, help, JSON.stringify(labels), () => [{ labels, value: read() }]);
  }

  #instrument<T extends NumberCounter | NumberGauge>(
    kind: NumberKind,
    name: string,
    help: string,
    labels: Labels,
    make: () => T,
  ): T {
    const key = JSON.stringify(labels);
    const existing = this.#instruments.get(name + key);
    if (existing !== undefined && this.#families.get(name)?.kind === kind) return existing as T;
    const instrument = make();
    this.#addSource(kind, name, help, key, () => [{ labels, value: instrument.value }]);
    this.#instruments.set(name + key, instrument);
    return instrument;
  }

  #addSource(
    kind: NumberKind,
    name: string,
    help: string,
    key: string,
    collect: () => Iterable<Sample>,
  ): void {
    assert(validName.test(name), `"${name}" is a metric name`);
    const family = this.#families.get(name) ?? {
      kind,
      name,
      help,
      sources: new Map<string, () => Iterable<Sample>>(),
    };
    assert(family.kind === kind, `metric ${name} is a ${family.kind}, not a ${kind}`);
    assert(!family.sources.has(key), `metric ${name}${key} has one source`);
    family.sources.set(key, collect);
    this.#families.set(name, family);
  }
}
