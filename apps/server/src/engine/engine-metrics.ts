import type { Integrity } from './apply/chains.js';
import { observeOperations } from './operation-metrics.js';
import type { Meter } from './platform/meter.js';
import type { RequestParts } from './requests/request-parts.js';

/** By the number that stands for them. */
const integrities: readonly Integrity[] = ['sound', 'results-differ', 'log-differs'];

/** Shows what the engine knows of itself under etcd's metric names, and more where DESIGN asks for it. Read at scrape. */
export function observeEngine(parts: RequestParts, meter: Meter): void {
  observeServer(parts, meter);
  observeStore(parts, meter);
  observeWatches(parts, meter);
  observeOperations(parts, meter);
}

function observeServer({ replica, backend, limits, machine }: RequestParts, meter: Meter): void {
  const observe = meter.observed.bind(meter);
  const count = meter.observedCounter.bind(meter);
  observe('etcd_server_has_leader', 'Whether a leader is known: 1 is, 0 is not.', () =>
    replica.leader === 0n ? 0 : 1,
  );
  observe('etcd_server_is_leader', 'Whether this member is the leader: 1 if it is, 0 otherwise.', () =>
    replica.leads ? 1 : 0,
  );
  observe('etcd_server_is_learner', 'Whether this member is a learner: 1 if it is, 0 otherwise.', () =>
    replica.isLearner ? 1 : 0,
  );
  observe(
    'conclave_server_integrity',
    'What comparing the members said of this one: 0 sound, 1 its results differ, 2 its log differs, too.',
    () => integrities.indexOf(machine.chains.integrity),
  );
  count(
    'etcd_server_leader_changes_seen_total',
    'Changes of leader that this member saw.',
    () => replica.leaderChanges,
  );
  count(
    'etcd_server_proposals_failed_total',
    'Proposals that came to nothing.',
    () => replica.load.failedProposals,
  );
  count(
    'etcd_server_read_indexes_failed_total',
    'Linearizable reads that were given up.',
    () => replica.load.readCounts.failed,
  );
  count(
    'etcd_server_slow_read_indexes_total',
    'Rounds for linearizable reads that had to be asked for again.',
    () => replica.load.readCounts.slow,
  );
  observe(
    'etcd_server_proposals_committed_total',
    'Index of the last committed entry.',
    () => replica.status.commit,
  );
  observe(
    'etcd_server_proposals_applied_total',
    'Index of the last applied entry.',
    () => backend.applied.index,
  );
  observe(
    'etcd_server_proposals_pending',
    'Proposals that wait for their result.',
    () => replica.load.pendingProposals,
  );
  observe('etcd_server_quota_backend_bytes', 'Quota of the store in bytes.', () => limits.quotaBackendBytes);
  observe(
    'conclave_server_proposal_queue_bytes',
    'Bytes of commands that wait for their result.',
    () => replica.load.proposalBytes,
  );
  observe('conclave_server_reads_pending', 'Linearizable reads that wait.', () => replica.load.pendingReads);
  observe(
    'conclave_server_apply_backlog_entries',
    'Committed entries that are not applied yet.',
    () => replica.load.applyBacklog,
  );
}

function observeStore({ backend, store }: RequestParts, meter: Meter): void {
  const observe = meter.observed.bind(meter);
  observe('etcd_mvcc_db_total_size_in_bytes', 'Size of the store file.', () => backend.stats.fileBytes);
  observe(
    'etcd_mvcc_db_total_size_in_use_in_bytes',
    'Bytes of the store file in use.',
    () => backend.stats.usedBytes,
  );
  observe(
    'etcd_mvcc_db_open_read_transactions',
    'The number of currently open read transactions.',
    () => backend.stats.openReads,
  );
  observe(
    'etcd_debugging_mvcc_current_revision',
    'The current revision of the store.',
    () => store.currentRevision,
  );
  observe(
    'etcd_debugging_mvcc_compact_revision',
    'The revision of the last compaction.',
    () => store.compactRevision,
  );
  observe('etcd_debugging_mvcc_keys_total', 'Keys in the store.', () => store.liveKeys);
  observe(
    'conclave_backend_generation_rows',
    'Rows that are in memory only.',
    () => backend.stats.generationRows,
  );
  observe(
    'conclave_backend_generation_bytes',
    'Bytes that are in memory only.',
    () => backend.stats.generationBytes,
  );
  observe(
    'conclave_backend_flush_lag_entries',
    'Applied entries that the file does not hold yet.',
    () => backend.stats.flushLagEntries,
  );
}

function observeWatches({ hub }: RequestParts, meter: Meter): void {
  const observe = meter.observed.bind(meter);
  observe('etcd_debugging_mvcc_watcher_total', 'Watchers.', () => hub.stats.watchers);
  observe('etcd_debugging_mvcc_watch_stream_total', 'Watch streams.', () => hub.stats.streams);
  observe(
    'etcd_debugging_mvcc_slow_watcher_total',
    'Watchers that catch up from history.',
    () => hub.stats.slowWatchers,
  );
  observe(
    'etcd_debugging_mvcc_pending_events_total',
    'Events that wait to be sent.',
    () => hub.stats.pendingEvents,
  );
}
