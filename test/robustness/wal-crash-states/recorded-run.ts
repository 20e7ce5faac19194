import { baseName, parentPath } from '../../../apps/server/src/engine/platform/disk.js';
import { type DiskModel } from '../../../apps/server/src/engine/platform/simulated-disk-model.js';
import { type SimulatedDisk } from '../../../apps/server/src/engine/platform/simulated-disk.js';
import { type Entry, type HardState } from '../../../apps/server/src/engine/raft/message.js';
import { type LogMark } from '../../../apps/server/src/engine/wal/state.js';
import { temporarySuffix } from '../../../apps/server/src/engine/wal/segment-name.js';
import { SeededRandom, fixtureEntry, walFixture } from '../../../apps/server/src/engine/wal/wal-fixture.js';
import { type Wal } from '../../../apps/server/src/engine/wal/wal.js';

/** What a log must hold: the outcome of the updates 1 to n of a run. */
export interface ExpectedState {
  readonly hardState: HardState;
  readonly mark: LogMark;
  /** Entries after the mark. */
  readonly entries: readonly Entry[];
}

/** One call to the log. */
export type Update =
  | {
      readonly kind: 'append';
      readonly hardState: HardState | undefined;
      readonly entries: readonly Entry[];
      readonly mustSync: boolean;
    }
  | { readonly kind: 'mark' | 'restart'; readonly mark: LogMark };

/** The disk as it was before one effect, and how many updates had been acknowledged as durable. */
export interface Moment {
  readonly effect: string;
  readonly model: DiskModel;
  readonly acknowledged: number;
  /** Updates that had been given to the log. */
  readonly issued: number;
}

export interface RecordedRun {
  readonly moments: readonly Moment[];
  /** `states[n]`: after the first n updates. */
  readonly states: readonly ExpectedState[];
  /** Segments that were written into the file of an earlier one. */
  readonly reusedFiles: number;
  /** The updates themselves, for messages. */
  readonly updates: readonly Update[];
}

const confState = { voters: [1n, 2n, 3n], learners: [], outgoing: [], learnersNext: [], autoLeave: false };
const start: ExpectedState = {
  hardState: { term: 0, vote: 0n, commit: 0 },
  mark: {
    index: 0,
    term: 0,
    confState: { voters: [], learners: [], outgoing: [], learnersNext: [], autoLeave: false },
  },
  entries: [],
};

function lastIndexOf(state: ExpectedState): number {
  return state.entries.at(-1)?.index ?? state.mark.index;
}

/** The model of a log: independent of records, segments and disks. */
export function nextState(state: ExpectedState, update: Update): ExpectedState {
  if (update.kind === 'append') {
    const first = update.entries[0]?.index ?? Number.POSITIVE_INFINITY;
    const entries = [...state.entries.filter((entry) => entry.index < first), ...update.entries];
    return { hardState: update.hardState ?? state.hardState, mark: state.mark, entries };
  }
  const { mark } = update;
  const entries = update.kind === 'mark' ? state.entries.filter(({ index }) => index > mark.index) : [];
  return { hardState: state.hardState, mark, entries };
}

/** Makes updates as a raft member would: appends, conflicting appends, votes, marks of applied state, and restarts after states. */
export function makeUpdates(count: number, random: SeededRandom): Update[] {
  const updates: Update[] = [];
  let state = start;
  let term = 1;
  for (let i = 0; i < count; i++) {
    const update = makeUpdate(state, term, random);
    if (random.below(8) === 0) term++;
    updates.push(update);
    state = nextState(state, update);
  }
  return updates;
}

function makeUpdate(state: ExpectedState, term: number, random: SeededRandom): Update {
  const last = lastIndexOf(state);
  const kind = random.below(20);
  if (kind === 0 && state.entries.length > 2) {
    const entry = state.entries[random.below(state.entries.length)]!;
    return { kind: 'mark', mark: { index: entry.index, term: entry.term, confState } };
  }
  if (kind === 4)
    return { kind: 'mark', mark: { ...state.mark, confState: { ...confState, voters: [BigInt(term)] } } };
  if (kind === 1) {
    // Beyond the log, or within it in a term that it does not have there.
    const index = state.mark.index + 1 + random.below(last - state.mark.index + 5);
    return { kind: 'restart', mark: { index, term: Math.max(term, state.hardState.term) + 1, confState } };
  }
  const commit = Math.min(last, Math.max(state.hardState.commit, state.mark.index));
  const hardState = { term: Math.max(term, state.hardState.term), vote: BigInt(random.below(4)), commit };
  if (kind === 2) return { kind: 'append', hardState, entries: [], mustSync: random.below(2) === 0 };
  const overlap = kind === 3 ? random.below(Math.min(4, last - state.mark.index + 1)) : 0;
  const first = last + 1 - overlap;
  const entries = Array.from({ length: 1 + random.below(4) }, (_, i) =>
    fixtureEntry(first + i, hardState.term, 1 + random.below(random.below(10) === 0 ? 3000 : 200)),
  );
  return {
    kind: 'append',
    hardState: random.below(3) > 0 ? hardState : undefined,
    entries,
    mustSync: random.below(5) > 0,
  };
}

/** Whether a file that is about to be opened for the next segment is there already: files of zeros are made anew. */
function isReused(model: DiskModel, path: string): boolean {
  return path.endsWith(temporarySuffix) && model.list(parentPath(path)).includes(baseName(path));
}

/** How the log is opened; planted bugs replace it. */
export type OpenLog = (disk: SimulatedDisk, open: () => Promise<Wal>) => Promise<Wal>;

/**
 * Runs `count` updates on a simulated disk and keeps the disk as it was before every effect. Several updates are under way at a
 * time, so that batches form.
 */
export async function recordRun(
  count: number,
  seed: number,
  openLog: OpenLog = (_disk, open) => open(),
): Promise<RecordedRun> {
  const random = new SeededRandom(seed);
  const updates = makeUpdates(count, random);
  const states = [start];
  for (const update of updates) states.push(nextState(states.at(-1)!, update));

  const fixture = walFixture(undefined, seed);
  const moments: Moment[] = [];
  let acknowledged = 0;
  let issued = 0;
  let reusedFiles = 0;
  fixture.disk.onEffect = (effect) => {
    const label = `${effect.number} ${effect.operation} ${effect.path} ${effect.offset ?? ''}`;
    if (effect.operation === 'open' && isReused(fixture.disk.model, effect.path)) reusedFiles++;
    moments.push({ effect: label, model: fixture.disk.model.clone(), acknowledged, issued });
  };
  const wal = await openLog(fixture.disk, () => fixture.open({ segmentBytes: 4096, bufferBytes: 4096 }));
  await new Promise<void>((resolve, reject) => {
    wal.onFailure = reject;
    const issue = (): void => {
      const number = ++issued;
      const update = updates[number - 1]!;
      const done = (): void => {
        // A mark and a synced append promise durability, of themselves and of everything before.
        if (update.kind !== 'append' || update.mustSync) acknowledged = number;
        if (update.kind !== 'append') wal.cut(update.mark.index);
        fixture.clock.advance(random.below(200));
        if (number === updates.length) resolve();
        else if (issued < updates.length)
          for (let i = random.below(3); i >= 0 && issued < updates.length; i--) issue();
      };
      if (update.kind === 'append') wal.append(update, done);
      else if (update.kind === 'mark') wal.saveMark(update.mark, done);
      else wal.restartAfter(update.mark, done);
    };
    issue();
  });
  await wal.close();
  moments.push({ effect: 'end', model: fixture.disk.model.clone(), acknowledged: count, issued: count });
  return { moments, states, reusedFiles, updates };
}
