import { type Backend } from '../backend/backend.js';
import { ScratchRow } from './scratch-row.js';
import { CorruptionError, UnknownFormatError } from './storage-errors.js';
import { VarintReader, writeVarint } from './varint.js';

/**
 * What the store knows of itself, in one row of table `meta`. It is written with every change, in the same applied
 * boundary, so that revisions never have to be guessed from the keys that happen to survive (etcd #17780).
 *
 *     byte 0    format, 1
 *     varints   current revision, compact revision + 1, finished compact revision + 1, where compaction goes on
 *               (main, sub), live keys, tombstone heads
 */
const NAME = 'mvcc';
const FORMAT = 1;
const FIELDS = 7;

/**
 * Invariants: finishedRevision <= compactRevision <= currentRevision. Every log row before (resumeMain, resumeSub) has
 * been looked at by compaction, and resumeMain <= max(compactRevision, 0). A compaction is at work while finishedRevision
 * is below compactRevision.
 */
export class StoreState {
  /** Revision of the newest change; 1 in a fresh store, so that the first change is 2. */
  currentRevision = 1;
  /** Reads below it are refused; -1 before the first compaction. */
  compactRevision = -1;
  /** The last compaction whose rows are all gone; -1 before the first. */
  finishedRevision = -1;
  /** The first log row that compaction has yet to look at. */
  resumeMain = 0;
  resumeSub = 0;
  /** Keys that exist at the current revision. */
  liveKeys = 0;
  /** Head rows whose key is deleted and not yet compacted away. */
  tombstoneHeads = 0;
}

const scratch = new ScratchRow(1 + FIELDS * 8);

/** @throws CorruptionError, UnknownFormatError */
export function loadState(backend: Backend): StoreState {
  const state = new StoreState();
  const row = backend.get('meta', NAME);
  if (row === undefined) return state;
  if (row.length === 0) throw new CorruptionError('the row of revisions is empty');
  if (row[0] !== FORMAT) throw new UnknownFormatError('the row of revisions', row[0], FORMAT);
  const reader = new VarintReader();
  reader.reset(row, 1, row.length);
  state.currentRevision = reader.next();
  state.compactRevision = reader.next() - 1;
  state.finishedRevision = reader.next() - 1;
  state.resumeMain = reader.next();
  state.resumeSub = reader.next();
  state.liveKeys = reader.next();
  state.tombstoneHeads = reader.next();
  if (!reader.done) throw new CorruptionError('the row of revisions is too long');
  const isOrdered =
    state.finishedRevision <= state.compactRevision && state.compactRevision <= state.currentRevision;
  if (state.currentRevision < 1 || !isOrdered) {
    throw new CorruptionError('the row of revisions contradicts itself');
  }
  return state;
}

export function saveState(backend: Backend, state: StoreState): void {
  const { buffer } = scratch;
  buffer[0] = FORMAT;
  let at = writeVarint(buffer, 1, state.currentRevision);
  at = writeVarint(buffer, at, state.compactRevision + 1);
  at = writeVarint(buffer, at, state.finishedRevision + 1);
  at = writeVarint(buffer, at, state.resumeMain);
  at = writeVarint(buffer, at, state.resumeSub);
  at = writeVarint(buffer, at, state.liveKeys);
  at = writeVarint(buffer, at, state.tombstoneHeads);
  backend.put('meta', NAME, scratch.row(at));
}
