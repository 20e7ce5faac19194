import { joinPath, parentPath, type Disk, type DiskFile } from '../platform/disk.js';
import { type Entry } from '../raft/message.js';
import {
  appendOverhead,
  entrySize,
  segmentHeadSize,
  writeAppend,
  writeSegmentHead,
  type SegmentHead,
} from './payload.js';
import {
  endMarkBytes,
  headerBytes,
  recordBytes,
  type RecordChain,
  recordSize,
  RecordType,
} from './record.js';
import { segmentName } from './segment-name.js';
import { type PreparedSegment } from './segment-preparer.js';

/** Entries that are carried over are written in records of about this size. */
const splitBytes = 1024 * 1024;

/** The segment that takes appends. */
export interface ActiveSegment {
  readonly file: DiskFile;
  readonly path: string;
  readonly sequence: number;
  /** Offset where the next record goes. */
  offset: number;
  /** Offset that appends do not exceed. */
  readonly capacity: number;
  /** Highest index of an entry in it; 0 without entries. */
  lastIndex: number;
}

/** Bytes that a segment with this head and these first entries has before its first append. */
export function segmentContentSize(head: SegmentHead, entries: readonly Entry[]): number {
  let size = recordSize(segmentHeadSize(head));
  for (const [from, to] of splitEntries(entries)) size += recordSize(appendSize(entries, from, to));
  return size;
}

/**
 * Turns a prepared file into the active segment: head, first entries and end mark, sync, then the name, then the directory. So a file with
 * the name of a segment always has a durable head. Afterwards everything that `chain` has sealed is durable, provided that
 * the earlier segments were synced before.
 */
export async function beginSegment(
  disk: Disk,
  prepared: PreparedSegment,
  chain: RecordChain,
  head: Omit<SegmentHead, 'contentLsn'>,
  entries: readonly Entry[],
): Promise<ActiveSegment> {
  const { file, sequence, capacity } = prepared;
  chain.segment = sequence;
  const splits = splitEntries(entries);
  const contentLsn = chain.lastLsn + 1 + splits.length;
  let offset = await writeHead(file, chain, { ...head, contentLsn });
  for (const [from, to] of splits) {
    const target = recordBytes(new Uint8Array(recordSize(appendSize(entries, from, to))));
    const length = writeAppend(target, headerBytes, undefined, entries, from, to);
    chain.seal(target, 0, offset, RecordType.append, length);
    await file.write(offset, target.bytes);
    offset += target.bytes.length;
  }
  if (offset < capacity) await file.fill(offset, Math.min(endMarkBytes, capacity - offset));
  await file.sync();
  const directory = parentPath(file.path);
  const path = joinPath(directory, segmentName(sequence, head.firstIndex));
  await disk.rename(file.path, path);
  file.path = path;
  await disk.syncDirectory(directory);
  chain.syncedLsn = chain.lastLsn;
  return { file, path, sequence, offset, capacity, lastIndex: entries.at(-1)?.index ?? 0 };
}

async function writeHead(file: DiskFile, chain: RecordChain, head: SegmentHead): Promise<number> {
  const target = recordBytes(new Uint8Array(recordSize(segmentHeadSize(head))));
  chain.seal(target, 0, 0, RecordType.segment, writeSegmentHead(target, headerBytes, head));
  await file.write(0, target.bytes);
  return target.bytes.length;
}

function appendSize(entries: readonly Entry[], from: number, to: number): number {
  let size = appendOverhead(false, true);
  for (let i = from; i < to; i++) size += entrySize(entries[i]!);
  return size;
}

function splitEntries(entries: readonly Entry[]): (readonly [from: number, to: number])[] {
  const splits: [number, number][] = [];
  let from = 0;
  let size = 0;
  for (let i = 0; i < entries.length; i++) {
    size += entrySize(entries[i]!);
    if (size < splitBytes && i + 1 < entries.length) continue;
    splits.push([from, i + 1]);
    from = i + 1;
    size = 0;
  }
  return splits;
}
