import { afterAll, describe, expect, it } from 'vitest';
import { Chance } from '../../compat/chance.js';
import { type MemberKind } from '../../members/member-process.js';
import { ClusterCampaign, type RoundReport } from './cluster-campaign.js';
import { type Fault } from './fault.js';
import { allFaults, faultNamed } from './faults.js';
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

/** Only these faults, in this order, as their names joined by ` + `. */
const { CONCLAVE_FAULTS: chosen } = process.env;

/** Eighteen of all faults in a drawn order, so that over the seeds each one meets each other one. */
function drawnFaults(seed: number): Fault[] {
  if (chosen !== undefined) return chosen.split(' + ').map(faultNamed);
  const chance = new Chance(seed * 7_919);
  const left = allFaults.filter(({ isPossible }) => isPossible?.() !== false);
  return Array.from({ length: 18 }, () => left.splice(chance.below(left.length), 1)[0]);
}

const campaigns = full
  ? Array.from({ length: lastSeed - firstSeed + 1 }, (_, i) => {
      const seed = firstSeed + i;
      const size = seed % 3 === 0 ? (5 as const) : (3 as const);
      return { seed, size, faults: drawnFaults(seed), holdMsMax: 3_000 };
    })
  : [{ seed: 1, size: 3 as const, faults: quickFaults, holdMsMax: 500 }];

describe(`a cluster of ${kind} under faults`, () => {
  const rounds: RoundReport[] = [];
  afterAll(() => {
    if (full) process.stdout.write(`${rounds.length} rounds\n${roundTable(rounds)}\n`);
  });

  it.each(campaigns)(
    'loses, repeats and reorders nothing, and serves again (seed $seed, $size members)',
    async (campaign) => {
      const report = await new ClusterCampaign({ kind, ...campaign }).run();
      rounds.push(...report.rounds);
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
