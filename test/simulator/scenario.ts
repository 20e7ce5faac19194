import { type RunOptions } from './run.js';
import { noWorkers } from './workers/worker-profile.js';
import { type Profile } from './world/profile.js';

/** A run that can be had again: its seed, and what of its world is not left to the seed. */
export interface Scenario {
  /** What it shows, and which incident it is of, if it is one. */
  readonly story: string;
  readonly seed: number;
  readonly members: number;
  /** The property that does not hold; undefined when the run must pass. */
  readonly violates?: string | undefined;
  readonly profile: Partial<Profile>;
  /** Of an incident: the mistake that makes it happen again, which this very seed shows. */
  readonly catches?: { readonly mutant: string } | { readonly planted: string } | undefined;
}

/** @throws Error when the text is no scenario. */
export function parseScenario(text: string): Scenario {
  const scenario = JSON.parse(text) as Scenario;
  const { seed, members, profile } = scenario;
  const isSound = Number.isSafeInteger(seed) && Number.isSafeInteger(members) && typeof profile === 'object';
  if (!isSound) throw new Error('a scenario has a seed, a number of members and a profile');
  // Workers and joint changes are there only when it says so.
  return { ...scenario, profile: { workers: noWorkers, jointShare: 0, ...profile } };
}

export function optionsOf({ members, profile }: Scenario): RunOptions {
  return { members, profile };
}
