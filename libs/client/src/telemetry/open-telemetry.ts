import { metricCatalogue, secondsBuckets } from './metric-catalogue.js';
import {
  type ClientMeter,
  type ClientMetric,
  type SpanLike,
  type TelemetryOptions,
  type TracerLike,
} from './telemetry-options.js';

interface InstrumentOptions {
  description?: string;
  unit?: string;
  advice?: { explicitBucketBoundaries?: number[] };
}

interface MeterLike {
  createCounter(
    name: string,
    options?: InstrumentOptions,
  ): { add(value: number, attributes?: Record<string, string>): void };
  createHistogram(
    name: string,
    options?: InstrumentOptions,
  ): { record(value: number, attributes?: Record<string, string>): void };
}

/** What is used of the package @opentelemetry/api: pass the package itself. */
export interface OpenTelemetryLike {
  readonly trace: {
    getTracer(name: string, version?: string): TracerLike;
    getActiveSpan(): SpanLike | undefined;
  };
  readonly metrics: { getMeter(name: string, version?: string): MeterLike };
}

const instrumentation = '@conclave/client';

/**
 * Spans, trace context and metrics through OpenTelemetry: `createClient({ telemetry: openTelemetry(api), … })` with
 * `import * as api from '@opentelemetry/api'`. Where they go is the business of the SDK that the application sets up.
 */
export function openTelemetry(api: OpenTelemetryLike): TelemetryOptions {
  return {
    tracer: api.trace.getTracer(instrumentation),
    activeSpan: () => api.trace.getActiveSpan(),
    meter: openTelemetryMeter(api.metrics.getMeter(instrumentation)),
  };
}

function openTelemetryMeter(meter: MeterLike): ClientMeter {
  const counters = new Map<ClientMetric, ReturnType<MeterLike['createCounter']>>();
  const histograms = new Map<ClientMetric, ReturnType<MeterLike['createHistogram']>>();
  for (const [key, { kind, help }] of Object.entries(metricCatalogue)) {
    const name = key as ClientMetric;
    if (kind === 'counter') {
      counters.set(name, meter.createCounter(name, { description: help }));
    } else {
      const advice = { explicitBucketBoundaries: [...secondsBuckets] };
      histograms.set(name, meter.createHistogram(name, { description: help, unit: 's', advice }));
    }
  }
  return {
    count: (name, labels, by = 1) => counters.get(name)?.add(by, { ...labels }),
    measure: (name, labels, seconds) => histograms.get(name)?.record(seconds, { ...labels }),
  };
}
