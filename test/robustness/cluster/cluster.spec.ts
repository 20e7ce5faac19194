import { afterAll, describe, expect, it } from 'vitest';
import { Chance } from '../../compat/chance.js';
import { type MemberKind } from '../../members/member-process.js';
import { ClusterCampaign, type RoundReport } from './cluster-campaign.js';
import { type Fault, fits } from './fault.js';
import { allFaults, faultNamed } from './faults.js';
import { isPossible, plainSurroundings, type Surroundings } from './machine.js';
import { roundTable } from './round-table.js';
import { spoil } from './spoiled-histories.js';
import { checkHistory } from '../history/history-checker.js';

const full = process.env['CONCLAVE_FULL'] === '1';
const kind: MemberKind = process.env['CONCLAVE_MEMBERS'] === 'etcd' ? 'etcd' : 'conclave';
/** Other seeds than those that always run, as `101..110`. */
const [firstSeed, lastSeed] = (process.env['CONCLAVE_SEEDS'] ?? '1..12').split('..').map(Number);

const quickFaults = [
  'kill -9 the leader',
  'one way: the leader cannot send',
  'SIGSTOP the leader',
  'move the leader',
  'kill -9 all',
].map(faultNamed);
/** In network namespaces. */
const quickCuts = ['isolate the leader', 'one way: the leader cannot send', 'bridge'].map(faultNamed);

/** Only these faults, in this order, as their names joined by ` + `. */
const { CONCLAVE_FAULTS: chosen } = process.env;

const inNamespaces: Surroundings = { network: 'namespaces', hasSmallDisks: false };
const onSmallDisks: Surroundings = { network: 'links', hasSmallDisks: true };
const hasNamespaces = await isPossible(inNamespaces);
const hasSmallDisks = await isPossible(onSmallDisks);

/** Every second campaign as usual, one in four in namespaces and one on small disks, as far as that is possible here. */
function surroundingsOf(seed: number): Surroundings {
  if (seed % 4 === 2 && hasNamespaces) return inNamespaces;
  if (seed % 4 === 0 && hasSmallDisks) return onSmallDisks;
  return plainSurroundings;
}

/** Eighteen of the faults that fit, in a drawn order, so that over the seeds each one meets each other one. */
function drawnFaults(seed: number, surroundings: Surroundings): Fault[] {
  if (chosen !== undefined) return chosen.split(' + ').map(faultNamed);
  const chance = new Chance(seed * 7_919);
  const left = allFaults.filter((fault) => fits(fault, surroundings));
  return Array.from({ length: 18 }, () => left.splice(chance.below(left.length), 1)[0]);
}

const seeds = full ? Array.from({ length: lastSeed - firstSeed + 1 }, (_, i) => firstSeed + i) : [];
const drawn = seeds.map((seed) => {
  const surroundings = surroundingsOf(seed);
  const size = seed % 3 === 0 ? (5 as const) : (3 as const);
  return { seed, size, surroundings, faults: drawnFaults(seed, surroundings), holdMsMax: 2_000 };
});
const quick = [
  { seed: 1, size: 3 as const, surroundings: plainSurroundings, faults: quickFaults, holdMsMax: 500 },
  { seed: 2, size: 3 as const, surroundings: inNamespaces, faults: quickCuts, holdMsMax: 500 },
];
const campaigns = (full ? drawn : quick)
  .filter(({ surroundings }) => surroundings !== inNamespaces || hasNamespaces)
  .map((campaign) => {
    const { network, hasSmallDisks: isSmall } = campaign.surroundings;
    return { ...campaign, place: isSmall ? `${network}, small disks` : network };
  });

describe(`a cluster of ${kind} under faults`, () => {
  const rounds: RoundReport[] = [];
  afterAll(() => {
    if (full) process.stdout.write(`${rounds.length} rounds\n${roundTable(rounds)}\n`);
  });

  if (!hasNamespaces) it.skip('in network namespaces (left out: needs root, ip, unshare and nsenter)');
  if (full && !hasSmallDisks) it.skip('on full disks (left out: needs root, mkfs.ext4, unshare and mount)');

  it.each(campaigns)(
    'loses, repeats and reorders nothing, and serves again (seed $seed, $size members, $place)',
    async (campaign) => {
      const report = await new ClusterCampaign({ kind, ...campaign }).run();
      rounds.push(...report.rounds);
      if (report.slow.length > 0) process.stdout.write(`slow: ${report.slow.join('\n')}\n`);
      expect(report.violations).toEqual([]);
      expect(report.rounds).toHaveLength(campaign.faults.length);
      // Traffic that did not happen proves nothing.
      for (const { acknowledged } of report.rounds) expect(acknowledged).toBeGreaterThan(30);
      // The same judge finds each bug when it is planted into this very history.
      for (const { bug, finding, history } of spoil(report.history))
        expect([bug, checkHistory(history).join('\n')]).toEqual([bug, expect.stringMatching(finding)]);
    },
    full ? 900_000 : 120_000,
  );
});
