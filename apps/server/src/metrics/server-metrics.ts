import { type MetricRegistry } from './registry.js';

/** What a member says of itself once. */
export interface MemberIdentity {
  readonly memberId: bigint;
  readonly serverVersion: string;
  clusterVersion(): string | undefined;
  raisedAlarms(): readonly { readonly memberId: bigint; readonly kind: string }[];
}

/** The metrics that name this member and its versions, and the alarms of the cluster. */
export function registerServerMetrics(registry: MetricRegistry, identity: MemberIdentity): void {
  registry
    .gauge(
      'etcd_server_id',
      "Server or member ID in hexadecimal format. 1 for 'server_id' label with current ID.",
      {
        server_id: identity.memberId.toString(16),
      },
    )
    .set(1);
  registry
    .gauge(
      'etcd_server_version',
      "Which version is running. 1 for 'server_version' label with current version.",
      {
        server_version: identity.serverVersion,
      },
    )
    .set(1);
  registry.collected(
    'gauge',
    'etcd_cluster_version',
    "Which version is running. 1 for 'cluster_version' label with current cluster version",
    () => {
      const version = identity.clusterVersion();
      return version === undefined
        ? []
        : [{ labels: { cluster_version: version.replace(/\.\d+$/, '') }, value: 1 }];
    },
  );
  registry.collected(
    'gauge',
    'etcd_debugging_server_alarms',
    "Alarms for every member in cluster. 1 for 'server_id' label with current ID and 'alarm_type' label with type of this alarm",
    () =>
      identity.raisedAlarms().map(({ memberId, kind }) => ({
        labels: { server_id: memberId.toString(16), alarm_type: kind },
        value: 1,
      })),
  );
}
