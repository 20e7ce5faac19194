import { type ClientMetric } from './telemetry-options.js';

/** What a metric is, for those who have to declare it. */
export interface MetricDescription {
  readonly kind: 'counter' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
}

export const metricCatalogue: Readonly<Record<ClientMetric, MetricDescription>> = {
  conclave_client_calls_total: {
    kind: 'counter',
    help: 'Calls and streams that ended, by method and gRPC code; each attempt counts.',
    labels: ['method', 'code'],
  },
  conclave_client_call_seconds: {
    kind: 'histogram',
    help: 'How long unary calls took, attempt by attempt, in seconds.',
    labels: ['method'],
  },
  conclave_client_retries_total: {
    kind: 'counter',
    help: 'Calls that were made again after a failure.',
    labels: ['method'],
  },
  conclave_client_watch_resyncs_total: {
    kind: 'counter',
    help: 'Watches that were read again: compacted, store-replaced, or lost-change (a server lost one).',
    labels: ['reason'],
  },
  conclave_client_keepalive_delay_seconds: {
    kind: 'histogram',
    help: 'How much later than due keep-alives of leases were sent, in seconds: the delay of the event loop.',
    labels: [],
  },
  conclave_client_losses_total: {
    kind: 'counter',
    help: 'Locks, leaderships and leases that ended without being given back, by reason.',
    labels: ['kind', 'reason'],
  },
  conclave_client_config_rejections_total: {
    kind: 'counter',
    help: 'Releases of configuration that were refused; the last good one stays in force.',
    labels: ['namespace'],
  },
};

/** Upper bounds in seconds, from a call in the machine to the timeout of a call. */
export const secondsBuckets: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];
