import { type PromRegistryLike } from '../../telemetry/prometheus-meter.js';
import { type PromClientLike } from '../../telemetry/prometheus-meter.js';
import { prometheusMeter } from '../../telemetry/prometheus-meter.js';
import { type TelemetryOptions } from '../../telemetry/telemetry-options.js';
import { optionalPeer } from '../module/optional-peer.js';

export interface MetricsOptions {
  /** Default: the one of prom-client, `register`. */
  readonly registry?: PromRegistryLike;
}

interface Configuration {
  readonly name: string;
  readonly help: string;
  readonly labelNames: string[];
  readonly registers: never[];
  /** Called for each scrape. */
  collect(this: PromMetric): Promise<void>;
}

/** A gauge or a counter of prom-client. */
export interface PromMetric {
  reset(): void;
  inc(labels: Record<string, string>, by: number): void;
}

export interface PromClient extends PromClientLike<PromRegistryLike> {
  readonly Gauge: new (configuration: Configuration) => PromMetric;
  readonly Counter: PromClientLike<PromRegistryLike>['Counter'] &
    (new (configuration: Configuration) => PromMetric);
}

export function promClient(): PromClient {
  return optionalPeer('prom-client', 'the option metrics');
}

/** The telemetry of a client with its metrics in the registry, unless it has a meter of its own. */
export function meteredTelemetry(
  telemetry: TelemetryOptions | undefined,
  metrics: MetricsOptions | boolean | undefined,
): TelemetryOptions | undefined {
  if (metrics === undefined || metrics === false || telemetry?.meter !== undefined) return telemetry;
  const registry = metrics === true ? undefined : metrics.registry;
  return { ...telemetry, meter: prometheusMeter(promClient(), registry) };
}
