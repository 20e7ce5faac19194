import { firstValueFrom } from 'rxjs';
import { type ConnectionState } from '../../connection/connection-state.js';
import { ageOf } from '../health/health-facts.js';
import { type Connections, type NamedConnection } from '../module/connections.js';
import { clockOf } from '../module/started-client.js';
import { applicationOf } from '../shutdown/application.js';

/** One value of a metric, at the moment of a scrape. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ApplicationMetric {
  readonly name: string;
  readonly kind: 'gauge' | 'counter';
  readonly help: string;
  readonly labels: readonly string[];
  /** What one application has to say. */
  readonly samples: (connections: Connections) => Promise<readonly Sample[]>;
}

/** What an application tells beside the metrics of its clients. */
export const applicationMetrics: readonly ApplicationMetric[] = [
  {
    name: 'conclave_connected',
    kind: 'gauge',
    help: '1 while the connection to the store is there.',
    labels: ['connection'],
    samples: (connections) =>
      Promise.all(
        connections.all().map(async ({ name, client }) => {
          const closed: ConnectionState = { kind: 'closed' };
          const { kind } = await firstValueFrom(client.connection$, { defaultValue: closed });
          return { labels: { connection: name }, value: kind === 'connected' ? 1 : 0 };
        }),
      ),
  },
  {
    name: 'conclave_config_age_seconds',
    kind: 'gauge',
    help: 'For how long the configuration may be out of date: 0 while it is live, or pinned by an operator.',
    labels: ['connection', 'namespace'],
    samples: (connections) =>
      namespaceSamples(connections, ({ freshness }, now) => (ageOf(freshness, now) ?? 0) / 1_000),
  },
  {
    name: 'conclave_config_refused',
    kind: 'gauge',
    help: '1 while the newest release is refused, and an older one is in force.',
    labels: ['connection', 'namespace'],
    samples: (connections) => namespaceSamples(connections, ({ state }) => (state === 'rejected' ? 1 : 0)),
  },
  {
    name: 'conclave_config_handler_calls_total',
    kind: 'counter',
    help: 'Calls of methods with @OnConfigChange, by how they ended: ok or failed.',
    labels: ['handler', 'outcome'],
    samples: (connections) =>
      Promise.resolve(
        [...connections.configs.handlers].flatMap(([handler, { ok, failed }]) => [
          { labels: { handler, outcome: 'ok' }, value: ok },
          { labels: { handler, outcome: 'failed' }, value: failed },
        ]),
      ),
  },
  {
    name: 'conclave_leader',
    kind: 'gauge',
    help: '1 while this process leads, by its clock.',
    labels: ['election'],
    samples: (connections) =>
      Promise.resolve(
        applicationOf(connections)
          .roles.all()
          .map(({ election, leadership }) => ({
            labels: { election },
            value: leadership === undefined ? 0 : 1,
          })),
      ),
  },
  {
    name: 'conclave_job_runs_total',
    kind: 'counter',
    help: 'Due times of @LeaderCron and @CronOnce, by what became of them in this process.',
    labels: ['job', 'outcome'],
    samples: (connections) =>
      Promise.resolve(
        [...applicationOf(connections).jobs.outcomes()].flatMap(([job, outcomes]) =>
          [...outcomes].map(([outcome, value]) => ({ labels: { job, outcome }, value })),
        ),
      ),
  },
];

type Status = Awaited<ReturnType<typeof statuses>>[number][1];

async function namespaceSamples(
  connections: Connections,
  valueOf: (status: Status, now: number) => number,
): Promise<Sample[]> {
  const all = await Promise.all(
    connections.all().map(async (connection) => {
      const now = clockOf(connection.options).wall();
      return (await statuses(connection)).map(([namespace, status]) => ({
        labels: { connection: connection.name, namespace },
        value: valueOf(status, now),
      }));
    }),
  );
  return all.flat();
}

async function statuses({ client, options }: NamedConnection) {
  if (options.app === undefined) return [];
  return [...(await firstValueFrom(client.config.status$))];
}
