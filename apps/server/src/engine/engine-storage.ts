import type { ApplyResult } from './apply/apply-result.js';
import { ClusterState } from './apply/cluster-state.js';
import type { AppliedMark, Backend } from './backend/backend.js';
import { found, refound } from './engine-founding.js';
import { StorageMismatchError } from './engine-errors.js';
import { forceNewCluster } from './engine-forced-cluster.js';
import type { EngineOptions } from './engine-options.js';
import type { Clock } from './platform/clock.js';
import type { Disk } from './platform/disk.js';
import type { Logger } from './platform/logger.js';
import type { Meter } from './platform/meter.js';
import type { Random } from './platform/random.js';
import type { Entry } from './raft/message.js';
import type { RecoveredState } from './raft/raw-node.js';
import { interruptedRestart, restartLog } from './wal/log-restart.js';
import { emptyConfState, type RecoveredLog } from './wal/state.js';
import { Wal } from './wal/wal.js';

/** The outside world of an engine. The server brings the real one, the simulator its own. */
export interface EnginePlatform {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  /** Opens, or creates, the store of applied state in a directory of its own. */
  openBackend(directory: string): Promise<Backend>;
  /** Takes the directory for this process alone; rejects when another one holds it. */
  lockDirectory(directory: string): Promise<DirectoryLock>;
  /**
   * Told of each entry when it was applied, in order, before watchers and its proposer are; again when it is applied
   * anew after a restart. For whoever checks a member from outside; it must not call into the engine.
   */
  readonly onApplied?: (entry: Entry, result: ApplyResult) => void;
}

export interface DirectoryLock {
  release(): Promise<void>;
}

export interface Identity {
  readonly clusterId: bigint;
  readonly memberId: bigint;
}

/** The open storage of a member and what it held. */
export interface Storage {
  readonly backend: Backend;
  readonly wal: Wal;
  readonly identity: Identity;
  readonly recovered: RecoveredState;
  close(): Promise<void>;
}

/**
 * Opens log and store and checks that they continue each other: the log starts at or before what the store has applied
 * and ends at or behind it. Nothing is dropped to make them fit.
 *
 * @throws StorageMismatchError, WalError, BackendError, DiskError
 */
export async function openStorage(options: EngineOptions, platform: EnginePlatform): Promise<Storage> {
  const lock = await platform.lockDirectory(options.directory);
  const opened: { close(): Promise<unknown> }[] = [{ close: () => lock.release() }];
  const closeAll = async (): Promise<void> => {
    while (opened.length > 0) await opened.pop()!.close();
  };
  try {
    const backend = await platform.openBackend(`${options.directory}/db`);
    opened.push(backend);
    const wal = await openWal(options, platform, backend);
    opened.push(wal);
    const identity = { clusterId: options.clusterId, memberId: options.memberId };
    let recovered = await recover(wal, backend, platform, options);
    if (options.forcesNewCluster === true) {
      recovered = await forceNewCluster(wal, recovered, backend, platform, options.memberId);
    }
    wal.forgetRecovered();
    return { backend, wal, identity, recovered, close: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** A log may be created only where the store is new too: a member that lost its log must not vote under its old id. */
function openWal(options: EngineOptions, platform: EnginePlatform, backend: Backend): Promise<Wal> {
  const { disk, clock, logger, meter } = platform;
  return Wal.open({
    directory: options.walDirectory ?? `${options.directory}/wal`,
    disk,
    clock,
    logger,
    meter,
    metadata: { clusterId: options.clusterId, memberId: options.memberId },
    create: backend.applied.index === 0,
    segmentBytes: options.walSegmentBytes,
    ...(options.walBatchBytes !== undefined && { bufferBytes: options.walBatchBytes }),
  });
}

/**
 * Whether a member wrote this log: a crash can come between the creation of a log and the mark that every founder's log
 * begins with. Who joins has an empty mark, and nothing to lose while there is nothing else.
 */
function hasStarted({ mark, entries, hardState }: RecoveredLog): boolean {
  return mark.index > 0 || mark.confState.voters.length > 0 || entries.length > 0 || hardState.term > 0;
}

/** What the core begins with: what log and store hold, or, for a new member, its founding. */
async function recover(
  wal: Wal,
  backend: Backend,
  platform: EnginePlatform,
  options: EngineOptions,
): Promise<RecoveredState> {
  const log = wal.recovered;
  if (
    options.forcesNewCluster === true &&
    backend.applied.index === 0 &&
    (log === undefined || !hasStarted(log))
  ) {
    throw new StorageMismatchError(
      `${options.directory} holds no data that a new cluster could be made of. Give --force-new-cluster with the data ` +
        'directory of a member of the old cluster; a new cluster of its own needs no such flag.',
    );
  }
  if (log === undefined) return found(wal, backend, options);
  reportTorn(log.report, platform);
  // Looked for first: the log of a member that was joining may still be empty.
  const finished = await finishInstall(wal, log, backend, platform);
  if (finished !== undefined) return finished;
  return hasStarted(log) ? resume(log, backend, platform, options) : found(wal, backend, options);
}

/** Finishes the install of a state that a crash came into; undefined when none did. */
async function finishInstall(
  wal: Wal,
  log: RecoveredLog,
  backend: Backend,
  platform: EnginePlatform,
): Promise<RecoveredState | undefined> {
  const { applied, installed } = backend;
  const confState = ClusterState.storedConfState(backend) ?? emptyConfState;
  const restart = interruptedRestart(log, { applied, installed, confState });
  if (restart === undefined) return undefined;
  await restartLog(wal, restart);
  const { index, term } = restart.mark;
  platform.logger.info('finished installing a state that a crash interrupted', { index, term });
  return {
    hardState: restart.hardState,
    confState,
    snapshotIndex: index,
    snapshotTerm: term,
    entries: [],
    applied: index,
  };
}

function resume(
  log: RecoveredLog,
  backend: Backend,
  platform: EnginePlatform,
  options: EngineOptions,
): RecoveredState {
  const { mark, hardState, entries } = log;
  if (backend.applied.index === 0) refound(mark, backend, options);
  const { applied } = backend;
  checkContinuity(log, applied);
  const logEnd = mark.index + entries.length;
  platform.logger.info('recovered', { applied: applied.index, logStart: mark.index, logEnd });
  const commit = Math.max(hardState.commit, applied.index);
  return {
    hardState: { ...hardState, commit },
    // Logs that were begun before the store held the configuration have it in their mark.
    confState: ClusterState.storedConfState(backend) ?? mark.confState,
    snapshotIndex: mark.index,
    snapshotTerm: mark.term,
    entries,
    applied: applied.index,
  };
}

function reportTorn({ torn }: RecoveredLog['report'], platform: EnginePlatform): void {
  if (torn === undefined) return;
  const { segment, offset, bytes, firstIndexDropped } = torn;
  platform.logger.warn('the end of the log was torn by a crash; it was never acknowledged and is dropped', {
    segment,
    offset,
    bytes,
    firstIndexDropped,
  });
}

/** @throws StorageMismatchError */
function checkContinuity({ mark, entries }: RecoveredLog, applied: AppliedMark): void {
  const lastIndex = mark.index + entries.length;
  if (applied.index < mark.index) {
    throw new StorageMismatchError(
      `the store has applied entry ${applied.index}, but the log begins after entry ${mark.index}: ` +
        'the store was removed or replaced by an older one. Restore the whole data directory from one backup.',
    );
  }
  if (applied.index > lastIndex) {
    throw new StorageMismatchError(
      `the store has applied entry ${applied.index}, but the log ends at entry ${lastIndex}: ` +
        'the log was removed or replaced by an older one. Restore the whole data directory from one backup.',
    );
  }
  const term = applied.index === mark.index ? mark.term : entries[applied.index - mark.index - 1].term;
  if (term !== applied.term) {
    throw new StorageMismatchError(
      `entry ${applied.index} has term ${term} in the log and ${applied.term} in the store: ` +
        'log and store come from different members. Restore the whole data directory from one backup.',
    );
  }
}
