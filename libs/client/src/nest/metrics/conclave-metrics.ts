import { Inject, Injectable } from '@nestjs/common';
import { type PromRegistryLike } from '../../telemetry/prometheus-meter.js';
import { Connections } from '../module/connections.js';
import { promClient } from './metrics-options.js';
import { publishApplication } from './published-applications.js';

/** What is used of a registry of prom-client that is scraped. */
export interface ScrapedRegistry extends PromRegistryLike {
  readonly contentType: string;
  metrics(): Promise<string>;
}

/**
 * The metrics of the application and its clients, when a connection has the option `metrics`. They stand in the registry of prom-client
 * that the option names, beside those of the application, so a scrape of that registry has them; this is for applications without one.
 */
@Injectable()
export class ConclaveMetrics {
  constructor(@Inject(Connections) private readonly connections: Connections) {}

  /** @throws InvalidArgumentError without prom-client. */
  get registry(): ScrapedRegistry {
    const options = this.connections.all().map(({ options }) => options.metrics);
    const registry = options.find((one) => typeof one === 'object')?.registry ?? promClient().register;
    return registry as ScrapedRegistry;
  }

  /** Of the answer with {@link text}. */
  get contentType(): string {
    return this.registry.contentType;
  }

  /** Everything in the registry, in Prometheus' text format. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  /** Called when the application starts. */
  publish(): void {
    const registries = new Set<PromRegistryLike>();
    for (const { options } of this.connections.all()) {
      if (options.metrics === undefined || options.metrics === false) continue;
      registries.add(
        (options.metrics === true ? undefined : options.metrics.registry) ?? promClient().register,
      );
    }
    for (const registry of registries) {
      const forget = publishApplication(this.connections, registry, promClient());
      this.connections.lifecycle.onStop(forget);
    }
  }
}
