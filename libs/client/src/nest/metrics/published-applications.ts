import { type PromRegistryLike } from '../../telemetry/prometheus-meter.js';
import { type Connections } from '../module/connections.js';
import { type ApplicationMetric, applicationMetrics } from './application-metrics.js';
import { type PromClient } from './metrics-options.js';

/** By registry, the applications that are told there. The same for every copy of the package. */
function published(): WeakMap<PromRegistryLike, Set<Connections>> {
  const key = Symbol.for('@conclave/client/nest/published-applications');
  const holder = globalThis as unknown as Record<
    symbol,
    WeakMap<PromRegistryLike, Set<Connections>> | undefined
  >;
  return (holder[key] ??= new WeakMap());
}

/** Tells an application in a registry from now on. Gives what ends it. */
export function publishApplication(
  connections: Connections,
  registry: PromRegistryLike,
  prom: PromClient,
): () => void {
  const known = published().get(registry);
  const applications = known ?? new Set<Connections>();
  applications.add(connections);
  if (known === undefined) {
    published().set(registry, applications);
    for (const metric of applicationMetrics) declare(metric, registry, applications, prom);
  }
  return () => applications.delete(connections);
}

function declare(
  { name, kind, help, labels, samples }: ApplicationMetric,
  registry: PromRegistryLike,
  applications: ReadonlySet<Connections>,
  prom: PromClient,
): void {
  const Metric = kind === 'gauge' ? prom.Gauge : prom.Counter;
  new Metric({
    name,
    help,
    labelNames: [...labels],
    registers: [registry] as unknown as never[],
    async collect() {
      const all = await Promise.all([...applications].map(samples));
      this.reset();
      for (const { labels: of, value } of all.flat()) this.inc({ ...of }, value);
    },
  });
}
