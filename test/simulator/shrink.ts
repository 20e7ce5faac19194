import { runSeed, type RunOptions, type RunResult } from './run.js';
import { type Scenario } from './scenario.js';
import { drawClusterProfile, drawProfile, quietFaults, type Profile } from './world/profile.js';
import { noWorkers } from './workers/worker-profile.js';
import { Fate } from './world/fate.js';

/** Runs that a search for a smaller world may take. */
const runsMax = 200;

/** One thing less in a world; undefined when there is nothing to take away. */
type Reduction = (profile: Profile) => Profile | undefined;

/**
 * Makes the world of a failing seed smaller while the same property fails: fewer kinds of faults, fewer clients, fewer
 * operations. What remains keeps its fate, because chance is addressed.
 *
 * @throws Error when the seed does not fail.
 */
export async function shrink(
  seed: number,
  options: RunOptions,
  onStep: (text: string) => void,
): Promise<Scenario> {
  const members = options.members ?? 1;
  const fate = new Fate(seed);
  let profile = members === 1 ? drawProfile(fate) : drawClusterProfile(fate, members);
  let runs = 0;
  const run = (candidate: Profile): Promise<RunResult> => {
    runs++;
    return runSeed(seed, { ...options, profile: candidate });
  };
  const property = (await run(profile)).violation?.property;
  if (property === undefined) throw new Error(`seed ${seed} with ${members} members does not fail`);
  for (let isSmaller = true; isSmaller && runs < runsMax;) {
    isSmaller = false;
    for (const [name, reduce] of reductions(profile)) {
      const candidate = reduce(profile);
      if (candidate === undefined || runs >= runsMax) continue;
      if ((await run(candidate)).violation?.property !== property) continue;
      profile = candidate;
      isSmaller = true;
      onStep(`${runs} runs: without ${name} it still fails`);
    }
  }
  return { story: '', seed, members, violates: property, profile };
}

function reductions(profile: Profile): [string, Reduction][] {
  const all: [string, Reduction][] = [['half of the operations', fewerOperations]];
  for (const kind of profile.network.troubles) all.push([kind, without(kind)]);
  for (const key of ['lossShare', 'duplicateShare', 'slowShare', 'brokenStateShare', 'clockDrift'] as const) {
    all.push([key, (from) => quieter(from, key)]);
  }
  for (const key of Object.keys(quietFaults) as (keyof typeof quietFaults)[]) all.push([key, calmer(key)]);
  for (const key of ['kvClients', 'leaseClients', 'watchClients'] as const) {
    all.push([`one of ${key}`, (from) => fewerClients(from, key)]);
  }
  all.push([
    'an administrator',
    (from) => (from.administratorEveryMs > 0 ? { ...from, administratorEveryMs: 0 } : undefined),
  ]);
  all.push(['workers', (from) => (from.workers.workers > 0 ? { ...from, workers: noWorkers } : undefined)]);
  all.push(['a slow disk', (from) => (from.grayMember > 0 ? { ...from, grayMember: 0 } : undefined)]);
  return all;
}

function fewerOperations(profile: Profile): Profile | undefined {
  const operations = Math.floor(profile.operations / 2);
  return operations < 10 ? undefined : { ...profile, operations };
}

function without(kind: string): Reduction {
  return (profile) => {
    const troubles = profile.network.troubles.filter((other) => other !== kind);
    if (troubles.length === profile.network.troubles.length) return undefined;
    return { ...profile, network: { ...profile.network, troubles } };
  };
}

function quieter(
  profile: Profile,
  key: 'lossShare' | 'duplicateShare' | 'slowShare' | 'brokenStateShare' | 'clockDrift',
): Profile | undefined {
  return profile.network[key] === 0 ? undefined : { ...profile, network: { ...profile.network, [key]: 0 } };
}

function calmer(key: keyof typeof quietFaults): Reduction {
  return ({ faults, ...rest }) =>
    faults[key] === quietFaults[key]
      ? undefined
      : { ...rest, faults: { ...faults, [key]: quietFaults[key] } };
}

function fewerClients(
  profile: Profile,
  key: 'kvClients' | 'leaseClients' | 'watchClients',
): Profile | undefined {
  const least = key === 'kvClients' ? 1 : 0;
  return profile[key] <= least ? undefined : { ...profile, [key]: profile[key] - 1 };
}
