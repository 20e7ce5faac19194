import { assert } from '../platform/assert.js';
import { DiskError, type Disk } from '../platform/disk.js';
import { type Entry } from '../raft/message.js';
import { type SegmentHead } from './payload.js';
import { RecordChain } from './record.js';
import { recover, type KeptSegment, type ProvenEnd, type Recovery } from './recovery.js';
import { prepareSegment, type PreparedSegment } from './segment-preparer.js';
import { beginSegment, segmentContentSize, type ActiveSegment } from './segment-writer.js';
import { emptyHardState, emptyMark, type RecoveredLog } from './state.js';
import { WalError } from './wal-error.js';
import { type WalOptions } from './wal-options.js';

/** The first segment of a run is small, so that opening does not wait for a whole one to be filled with zeros. */
const firstSegmentBytes = 4 * 1024 * 1024;
/** The least room that a run starts with when space is short. */
const leastRoomBytes = 64 * 1024;

/** A log that is ready for appends. */
export interface OpenedLog {
  readonly recovered: RecoveredLog | undefined;
  readonly chain: RecordChain;
  readonly active: ActiveSegment;
  readonly kept: readonly KeptSegment[];
}

/**
 * Recovers or creates the log. What an existing log holds beyond its proven end may be in the page cache only (the process may have died
 * before a sync, or after a failed one), so it goes into a new segment, which is synced before anything is promised; then
 * the old copy is cut off.
 *
 * @throws WalError, WalCorruptionError, DiskError
 */
export async function openLog(options: Required<WalOptions>): Promise<OpenedLog> {
  const { disk, directory, metadata, create } = options;
  await disk.makeDirectory(directory);
  const recovery = await recover(disk, directory, metadata);
  if (recovery === undefined && !create) {
    throw new WalError(
      'missing',
      `${directory} holds no write-ahead log, but this member has run before. Put its data directory back; if it is lost, remove ` +
        'the member from the cluster and add it again under a new id.',
    );
  }
  const chain = new RecordChain(0, recovery?.proven.lsn ?? 0, recovery?.proven.crc ?? 0);
  const active = await continueLog(options, recovery, chain);
  if (recovery !== undefined) await cutOff(disk, recovery.proven);
  return { recovered: recovery?.log, chain, active, kept: recovery?.segments ?? [] };
}

async function continueLog(
  options: Required<WalOptions>,
  recovery: Recovery | undefined,
  chain: RecordChain,
): Promise<ActiveSegment> {
  const log = recovery?.log;
  const copyFrom = recovery?.proven.copyFrom ?? 1;
  const entries = log?.entries.filter((entry: Entry) => entry.index >= copyFrom) ?? [];
  const mark = log?.mark ?? emptyMark;
  const lastIndex = log?.entries.at(-1)?.index ?? mark.index;
  const head: SegmentHead = {
    metadata: options.metadata,
    firstIndex: entries[0]?.index ?? lastIndex + 1,
    contentLsn: chain.lastLsn + 1,
    hardState: log?.hardState ?? emptyHardState,
    mark,
  };
  const sequence = (recovery?.segments.at(-1)?.sequence ?? 0) + 1;
  const prepared = await prepareFirst(options, sequence, segmentContentSize(head, entries));
  return beginSegment(options.disk, prepared, chain, head, entries);
}

async function prepareFirst(
  options: Required<WalOptions>,
  sequence: number,
  contentBytes: number,
): Promise<PreparedSegment> {
  const { disk, directory, segmentBytes } = options;
  const wanted = Math.min(segmentBytes, firstSegmentBytes);
  const least = Math.min(wanted, leastRoomBytes);
  for (const room of [wanted, least]) {
    try {
      return await prepareSegment(disk, directory, sequence, contentBytes + room, () => false);
    } catch (error) {
      if (!(error instanceof DiskError) || !error.isNoSpace) throw error;
    }
  }
  const bytes = contentBytes + least;
  throw new WalError(
    'no space',
    `${directory}: the disk is full. Free at least ${bytes} bytes and start again.`,
  );
}

async function cutOff(disk: Disk, proven: ProvenEnd): Promise<void> {
  const file = await disk.open(proven.path, 'edit');
  try {
    const size = await file.size();
    assert(size >= proven.offset, 'the proven part of a segment is in its file');
    if (size > proven.offset) await file.truncate(proven.offset);
  } finally {
    await file.close();
  }
}
