import { type MetricRegistry, type Sample } from './registry.js';

const quantiles = [0.5, 0.9, 0.99] as const;

/** Histograms of which percentiles are shown beside the buckets, for readers without a query language. */
const summarised: readonly { readonly histogram: string; readonly name: string; readonly help: string }[] = [
  {
    histogram: 'etcd_disk_wal_fsync_duration_seconds',
    name: 'conclave_disk_wal_fsync_quantile_seconds',
    help: 'Estimated percentiles of the durations of WAL fsyncs since the start, in seconds.',
  },
  {
    histogram: 'etcd_disk_backend_commit_duration_seconds',
    name: 'conclave_disk_backend_commit_quantile_seconds',
    help: 'Estimated percentiles of the durations of backend commits since the start, in seconds.',
  },
];

/** Shows percentiles of the durations that decide about the health of a member's disk. */
export function registerQuantiles(registry: MetricRegistry): void {
  for (const { histogram, name, help } of summarised) {
    registry.collected('gauge', name, help, () => {
      const family = registry.families.get(histogram);
      const entry = family?.kind === 'histogram' ? family.series.get('{}') : undefined;
      if (entry === undefined || entry.histogram.count === 0) return [];
      return quantiles.map((q): Sample => ({
        labels: { quantile: String(q) },
        value: entry.histogram.quantile(q),
      }));
    });
  }
}
