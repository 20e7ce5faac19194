import { type MetricRegistry } from './registry.js';

/** What a member says of itself once. */
export interface MemberIdentity {
  readonly memberId: bigint;
  readonly serverVersion: string;
  clusterVersion(): string | undefined;
}

/** The metrics that name this member and its versions. */
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
}
