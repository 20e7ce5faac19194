import { GrpcStatus } from '@conclave/protocol';
import { type HeaderCount, type MethodStats, type ServerStats } from '@conclave/grpc';
import { type MetricRegistry, type Sample } from './registry.js';

/** The header in which clients since etcd 3.5 name the version of their API. */
export const clientVersionHeader = 'client-api-version';

/** Methods whose caller streams too; all other streaming methods stream answers only. */
const bidirectional: ReadonlySet<string> = new Set([
  '/etcdserverpb.Watch/Watch',
  '/etcdserverpb.Lease/LeaseKeepAlive',
]);

const durationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

type MethodLabels = Readonly<Record<'grpc_type' | 'grpc_service' | 'grpc_method', string>>;

/** `/etcdserverpb.KV/Range` as labels. */
function labelsOf({ path, kind }: MethodStats): MethodLabels {
  const [, service = 'unknown', method = 'unknown'] = path.split('/');
  const type = kind === 'unary' ? 'unary' : bidirectional.has(path) ? 'bidi_stream' : 'server_stream';
  return { grpc_type: type, grpc_service: service, grpc_method: method };
}

function methodsOf(stats: ServerStats): MethodStats[] {
  const all = [...stats.methods.values()];
  return stats.unknownMethods.started === 0 ? all : [...all, stats.unknownMethods];
}

/** Shows what a gRPC server counts, under the names that etcd's dashboards and alerts read. */
export function registerGrpcMetrics(registry: MetricRegistry, stats: () => ServerStats): void {
  const perMethod = (name: string, help: string, read: (method: MethodStats) => number): void => {
    registry.collected('counter', name, help, () =>
      methodsOf(stats()).map((method): Sample => ({ labels: labelsOf(method), value: read(method) })),
    );
  };
  perMethod(
    'grpc_server_started_total',
    'Total number of RPCs started on the server.',
    ({ started }) => started,
  );
  perMethod(
    'grpc_server_msg_received_total',
    'Total number of RPC stream messages received on the server.',
    ({ messagesReceived }) => messagesReceived,
  );
  perMethod(
    'grpc_server_msg_sent_total',
    'Total number of RPC stream messages sent by the server.',
    ({ messagesSent }) => messagesSent,
  );
  registry.collected(
    'counter',
    'grpc_server_handled_total',
    'Total number of RPCs completed on the server, regardless of success or failure.',
    () => methodsOf(stats()).flatMap(handledSamples),
  );
  registry.collected(
    'counter',
    'etcd_server_client_requests_total',
    'The total number of client requests per client version.',
    () => stats().callsByHeader.map(requestSample),
  );
  registry.observedCounter(
    'etcd_network_client_grpc_received_bytes_total',
    'The total number of bytes received from grpc clients.',
    () => stats().bytesReceived,
  );
  registry.observedCounter(
    'etcd_network_client_grpc_sent_bytes_total',
    'The total number of bytes sent to grpc clients.',
    () => stats().bytesSent,
  );
  registry.observed('conclave_grpc_connections', 'Open gRPC connections.', () => stats().connectionsOpen);
}

function requestSample({ kind, value, started }: HeaderCount): Sample {
  return { labels: { type: kind, client_api_version: value ?? 'unknown' }, value: started };
}

/** One sample for OK, so that rates exist from the start, and one for every other code that occurred. */
function handledSamples(method: MethodStats): Sample[] {
  const labels = labelsOf(method);
  return method.handledByCode.flatMap((value, code) =>
    value === 0 && code !== 0
      ? []
      : [{ labels: { ...labels, grpc_code: GrpcStatus[code] ?? 'Unknown' }, value }],
  );
}

/** Observes how long calls take, for `--metrics=extensive`. Its result is the gRPC server's `onHandled`. */
export function observeGrpcDurations(
  registry: MetricRegistry,
): (method: MethodStats, code: GrpcStatus, durationMs: number) => void {
  const byMethod = new Map<MethodStats, { observe(seconds: number): void }>();
  const help =
    'Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.';
  return (method, _code, durationMs) => {
    let histogram = byMethod.get(method);
    if (histogram === undefined) {
      histogram = registry.histogram('grpc_server_handling_seconds', help, durationBuckets, labelsOf(method));
      byMethod.set(method, histogram);
    }
    histogram.observe(durationMs / 1_000);
  };
}
