import { type Draw } from '../../simulator/world/fate.js';
import { type StoreCall } from '../store-checker.js';
import { type StepOutput } from '../store-model.js';
import { type Facts, withSteps, type Read } from './facts.js';

/** Makes a right history wrong in one way; undefined when the history has no place for it. */
export interface Spoiler {
  readonly name: string;
  /** Of what histories: with transactions over several keys, or of one key each. */
  readonly wide: boolean;
  /** Lost calls would excuse it. */
  readonly noLost?: boolean;
  spoil(facts: Facts, draw: Draw): StoreCall[] | undefined;
}

export function shuffled<T>(draw: Draw, from: readonly T[]): T[] {
  return from
    .map((value) => ({ value, place: draw.next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ value }) => value);
}

/** The first pair, in any order, that fits. */
export function pair<A, B>(
  draw: Draw,
  as: readonly A[],
  bs: readonly B[],
  fits: (a: A, b: B) => boolean,
): [A, B] | undefined {
  const candidates = shuffled(draw, bs);
  for (const a of shuffled(draw, as)) {
    const b = candidates.find((each) => fits(a, each));
    if (b !== undefined) return [a, b];
  }
  return undefined;
}

export function precedes(a: StoreCall, b: StoreCall): boolean {
  return a.returnedAt < b.calledAt;
}

export function readAs(
  facts: Facts,
  read: Read,
  value: string | undefined,
  mod: number | undefined,
): StoreCall[] {
  const changed: StepOutput = value === undefined ? {} : { value, mod: mod ?? 0 };
  const steps = read.call.output!.steps.map((step, at) => (at === read.at ? changed : step));
  return facts.replace(read.call, withSteps(read.call, steps));
}
