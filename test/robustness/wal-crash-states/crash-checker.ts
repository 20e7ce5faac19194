import { type DiskModel } from '../../../apps/server/src/engine/platform/simulated-disk-model.js';
import { type CrashChoice } from '../../../apps/server/src/engine/platform/simulated-disk-inode.js';
import { type RecoveredLog } from '../../../apps/server/src/engine/wal/state.js';
import { SeededRandom, walFixture } from '../../../apps/server/src/engine/wal/wal-fixture.js';
import { type Wal } from '../../../apps/server/src/engine/wal/wal.js';
import { nextState, type ExpectedState, type Moment, type RecordedRun } from './recorded-run.js';

/** Opens a log on what a crash left, and says what it recovered. Planted bugs replace it. */
export type Recover = (model: DiskModel) => Promise<RecoveredLog | undefined>;

/** The production code: recovery, then a second one after another crash at once, which must find the same. */
export const recoverTwice: Recover = async (model) => {
  const first = await reopen(model);
  const again = await reopen(first.model.crash(() => 0));
  const [a, b] = [describeState(first.wal.recovered), describeState(again.wal.recovered)];
  if (first.wal.recovered !== undefined && a !== b)
    throw new Error(`a second recovery differs: ${a} then ${b}`);
  return first.wal.recovered;
};

async function reopen(model: DiskModel): Promise<{ wal: Wal; model: DiskModel }> {
  const fixture = walFixture(model);
  const wal = await fixture.open({ segmentBytes: 4096, bufferBytes: 4096 });
  fixture.disk.crash();
  return { wal, model: fixture.disk.model };
}

/** A state as a string, for comparison: entries by index, term and a sum of their bytes. */
export function describeState(state: ExpectedState | RecoveredLog | undefined): string {
  if (state === undefined) return 'nothing';
  const { hardState, mark, entries } = state;
  const last = entries.at(-1)?.index ?? mark.index;
  const commit = Math.min(Math.max(hardState.commit, mark.index), last);
  const log = entries.map(({ index, term, data }) => {
    let sum = data.length;
    for (const byte of data) sum = (sum * 31 + byte) >>> 0;
    return `${index}/${term}/${sum.toString(16)}`;
  });
  const voters = mark.confState.voters.join(',');
  return `term ${hardState.term} vote ${hardState.vote} commit ${commit} mark ${mark.index}/${mark.term}/${voters} log ${log.join(' ')}`;
}

/** A crash state that recovery handled wrongly. */
export interface Violation {
  readonly effect: string;
  readonly choices: string;
  readonly what: string;
}

/** How much is tried. */
export interface Effort {
  /** Windows with at most this many combinations of lost and kept changes are tried in full; 4,096 is 12 changes. */
  readonly exhaustiveStates: number;
  /** Random crash states for each window: with garbage, and where not all combinations are tried also without. */
  readonly samples: number;
  /** Only every n-th moment. */
  readonly stride: number;
}

export interface Tally {
  readonly crashStates: number;
  /** How many of them were made with garbage. */
  readonly garbageStates: number;
  readonly violations: readonly Violation[];
}

/**
 * Crashes at every moment of a run in many legal ways. Recovery must find the outcome of exactly the first n updates (see
 * `legalStates`), with n at or after the last acknowledged one and no more than were issued.
 */
export async function checkRun(
  run: RecordedRun,
  effort: Effort,
  recover: Recover = recoverTwice,
): Promise<Tally> {
  const violations: Violation[] = [];
  let crashStates = 0;
  let garbageStates = 0;
  const known = run.states.map((_, n) => legalStates(run, n));
  for (let i = 0; i < run.moments.length; i += effort.stride) {
    const moment = run.moments[i]!;
    for (const [choices, model] of crashModels(moment, effort, i)) {
      crashStates++;
      if (choices.includes('garbage')) garbageStates++;
      const what = await judge(moment, model, known, recover);
      if (what !== undefined) violations.push({ effect: moment.effect, choices, what });
      if (violations.length >= 5) return { crashStates, garbageStates, violations };
    }
  }
  return { crashStates, garbageStates, violations };
}

/**
 * What may be found when `n` updates are durable and the next is not acknowledged: their outcome, also with a first part of the
 * next update's entries, since an update that does not fit in one record is split.
 */
function legalStates(run: RecordedRun, n: number): ReadonlySet<string> {
  const state = run.states[n]!;
  const legal = new Set([describeState(state)]);
  const next = run.updates[n];
  if (next?.kind !== 'append') return legal;
  for (let count = 1; count < next.entries.length; count++) {
    legal.add(describeState(nextState(state, { ...next, entries: next.entries.slice(0, count) })));
  }
  return legal;
}

async function judge(
  moment: Moment,
  model: DiskModel,
  known: readonly ReadonlySet<string>[],
  recover: Recover,
): Promise<string | undefined> {
  let recovered: RecoveredLog | undefined;
  try {
    recovered = await recover(model);
  } catch (error) {
    return `recovery refused: ${String(error)}`;
  }
  const found = describeState(recovered);
  if (recovered === undefined) return moment.acknowledged > 0 ? 'the log is gone' : undefined;
  for (let n = moment.acknowledged; n <= moment.issued; n++) if (known[n]!.has(found)) return undefined;
  return `found ${found}, which is not the outcome of ${moment.acknowledged} to ${moment.issued} updates`;
}

/**
 * The killed process, everything lost, everything kept; all combinations of lost and kept, or a sample where there are too many;
 * and always a sample in which sectors that held nothing come back as garbage.
 */
function* crashModels(moment: Moment, effort: Effort, seed: number): Generator<[string, DiskModel]> {
  const { model } = moment;
  yield ['killed', model.clone()];
  yield ['all lost', model.crash(() => 0)];
  yield ['all kept', model.crash((options) => options - 1)];
  if (model.pendingChanges === 0) return;
  let combinations = 1;
  model.crash((options) => {
    combinations *= options;
    return options - 1;
  });
  const isExhaustive = combinations <= effort.exhaustiveStates;
  if (isExhaustive) yield* allCrashes(model);
  for (let i = 0; i < effort.samples; i++) {
    const random = new SeededRandom(seed * 1000 + i);
    const bias = random.below(4);
    const choose: CrashChoice = (options) => (random.below(4) < bias ? options - 1 : random.below(options));
    const withGarbage = isExhaustive || i % 2 === 0;
    yield [
      `sample ${i}${withGarbage ? ' with garbage' : ''}`,
      model.crash(choose, withGarbage ? random : undefined),
    ];
  }
}

/** Walks through all answers to all choices, as an odometer. */
function* allCrashes(model: DiskModel): Generator<[string, DiskModel]> {
  let digits: number[] = [];
  for (;;) {
    const limits: number[] = [];
    const crashed = model.crash((options) => {
      const place = limits.push(options) - 1;
      return (digits[place] ??= 0);
    });
    yield [`choices ${digits.join('')}`, crashed];
    let place = limits.length - 1;
    while (place >= 0 && digits[place]! + 1 >= limits[place]!) place--;
    if (place < 0) return;
    digits = [...digits.slice(0, place), digits[place]! + 1];
  }
}
