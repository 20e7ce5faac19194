import { doublingBuckets, type Meter } from './platform/meter.js';
import type { RequestParts } from './requests/request-parts.js';

/** As etcd's. */
const commitBuckets = doublingBuckets(0.001, 14);

/** Seconds, as etcd's: 1 to 8,388,608. */
const ttlBuckets = doublingBuckets(1, 24);

/** Shows how often things were done, under etcd's metric names; counted as plain numbers, read at scrape. */
export function observeOperations(parts: RequestParts, meter: Meter): void {
  const { machine, store, hub, lessor, compactor, replica } = parts;
  const { counts } = machine.kv;
  const count = meter.observedCounter.bind(meter);
  count('etcd_mvcc_put_total', 'Total number of puts seen by this member.', () => counts.puts);
  count('etcd_mvcc_range_total', 'Total number of ranges seen by this member.', () => counts.ranges);
  count('etcd_mvcc_delete_total', 'Total number of deletes seen by this member.', () => counts.deletes);
  count('etcd_mvcc_txn_total', 'Total number of txns seen by this member.', () => counts.txns);
  meter.observed(
    'etcd_mvcc_total_put_size_in_bytes',
    'The total size of put kv pairs seen by this member.',
    () => counts.putBytes,
  );
  count(
    'etcd_debugging_mvcc_events_total',
    'Total number of events sent by this member.',
    () => hub.stats.eventsSent,
  );
  count(
    'etcd_debugging_mvcc_db_compaction_keys_total',
    'Total number of db keys compacted.',
    () => store.compactedRows,
  );
  meter.observed(
    'etcd_debugging_mvcc_db_compaction_last',
    'The unix time of the last db compaction. Resets to 0 on start.',
    () => compactor.lastAtSeconds,
  );
  count(
    'etcd_server_slow_apply_total',
    'The total number of slow apply requests (likely overloaded from slow disk).',
    () => replica.load.slowApplies,
  );
  count('etcd_debugging_lease_granted_total', 'Leases granted.', () => lessor.counts.granted);
  count('etcd_debugging_lease_revoked_total', 'Leases revoked.', () => lessor.counts.revoked);
  count('etcd_debugging_lease_renewed_total', 'Renewals of leases.', () => lessor.counts.renewed);
  observeFlushes(parts, meter);
  const ttlHelp = 'Bucketed histogram of lease TTLs, in seconds.';
  const ttls = meter.histogram('etcd_debugging_lease_ttl_total', ttlHelp, ttlBuckets);
  lessor.onGranted = (ttlSeconds) => ttls.observe(ttlSeconds);
}

/** Beside whoever listens already: the replica cuts the log when something was flushed. */
function observeFlushes({ backend }: RequestParts, meter: Meter): void {
  const help = 'The latency distributions of commit called by backend.';
  const durations = meter.histogram('etcd_disk_backend_commit_duration_seconds', help, commitBuckets);
  const { onFlushed } = backend;
  backend.onFlushed = (mark) => {
    durations.observe(backend.stats.lastFlushMs / 1_000);
    onFlushed?.(mark);
  };
}
