import { Chance } from '../../compat/chance.js';
import { type MemberKind, type MemberProcess } from '../../members/member-process.js';
import { type History } from '../history/operation.js';
import { delay, within } from '../traffic/within.js';
import { agree } from './agreement.js';
import { ClusterTraffic } from './cluster-traffic.js';
import { type Fault } from './fault.js';
import { TestedCluster } from './tested-cluster.js';

export interface ClusterCampaignOptions {
  readonly kind: MemberKind;
  readonly seed: number;
  readonly size: 3 | 5;
  /** One round each, in this order. */
  readonly faults: readonly Fault[];
  /** The longest time that a fault lasts, in ms, beyond what it takes itself. */
  readonly holdMsMax: number;
}

/** One round as it went. */
export interface RoundReport {
  readonly fault: string;
  /** Time from healing until every member took a write and a linearizable read, ms. */
  readonly servedMs: number;
  readonly acknowledged: number;
  readonly unknown: number;
}

export interface CampaignReport {
  readonly rounds: readonly RoundReport[];
  readonly violations: readonly string[];
  readonly compactions: number;
  readonly history: History;
}

/** Round by round: traffic, a fault, healing, and judgement of everything up to there. It ends with the first violation. */
export class ClusterCampaign {
  private readonly chance: Chance;
  private readonly rounds: RoundReport[] = [];
  private cluster!: TestedCluster;
  private traffic!: ClusterTraffic;

  constructor(private readonly options: ClusterCampaignOptions) {
    this.chance = new Chance(options.seed);
  }

  async run(): Promise<CampaignReport> {
    const { kind, size, seed, faults } = this.options;
    this.cluster = await within(TestedCluster.start(kind, size), 'the first start of the cluster', 60_000);
    this.traffic = new ClusterTraffic(seed, () => this.cluster.members);
    let violations: string[] = [];
    try {
      for (const [place, fault] of faults.entries()) {
        violations = await this.round(`round ${place + 1} (${fault.name})`, fault);
        if (violations.length > 0) break;
      }
      const { compactions } = this.traffic;
      return { rounds: this.rounds, violations, compactions, history: this.traffic.history() };
    } finally {
      await this.cluster.remove();
      await this.traffic.stop().catch(() => undefined);
    }
  }

  /** What is wrong in it. Whatever takes too long is wrong, too. */
  private async round(name: string, fault: Fault): Promise<string[]> {
    const { recorder } = this.traffic;
    const before = recorder.operations.length;
    try {
      await this.underFault(fault);
      const servedMs = await this.untilServing();
      await this.quiesce(name);
      const operations = recorder.operations.slice(before);
      const count = (kind: string): number =>
        operations.filter(({ outcome }) => outcome.kind === kind).length;
      this.rounds.push({
        fault: fault.name,
        servedMs,
        acknowledged: count('done'),
        unknown: count('unknown'),
      });
      return [...this.cluster.unexpectedEnds, ...this.traffic.judge()].map((text) => `${name}: ${text}`);
    } catch (error) {
      return [`${name}: ${error instanceof Error ? error.message : String(error)}`, ...this.lastWords()];
    }
  }

  private async underFault(fault: Fault): Promise<void> {
    const { cluster, traffic, chance } = this;
    traffic.go();
    await traffic.progress(30, 'writes before a fault');
    const compaction = chance.chance(0.3) ? traffic.compact(this.pick(), chance.below(10)) : undefined;
    await fault.strike({ cluster, traffic, chance });
    if (fault.keepsMajority) await traffic.progress(20, 'writes while a majority is connected');
    await delay(chance.below(this.options.holdMsMax));
    await compaction;
  }

  /** Heals, and waits until every member takes a write and reads it. */
  private async untilServing(): Promise<number> {
    const { cluster, traffic } = this;
    const startedMs = performance.now();
    await cluster.heal();
    const all = Promise.all(cluster.members.map((member) => traffic.writeThrough(member)));
    await within(all, 'a write through every member after healing');
    return performance.now() - startedMs;
  }

  /** Ends the traffic, lets everybody catch up and reads everything. */
  private async quiesce(name: string): Promise<void> {
    const { cluster, traffic, chance } = this;
    await traffic.stop();
    await traffic.drainWatchers(await within(traffic.writeThrough(this.pick()), 'a last write'));
    if (chance.chance(0.3)) await traffic.compact(this.pick(), chance.below(10));
    const { snapshots, violations } = await agree(cluster.members, name);
    traffic.inspection.snapshots.push(...snapshots);
    traffic.violations.push(...violations);
    await traffic.inspect(this.pick(), chance.next());
  }

  private pick(): MemberProcess {
    return this.chance.pick(this.cluster.members);
  }

  /** What the members printed last, for whoever has to find out. */
  private lastWords(): string[] {
    const { members, unexpectedEnds } = this.cluster;
    return [
      ...unexpectedEnds,
      ...members.map(({ name, output }) => `${name} printed: ${output.slice(-1_500)}`),
    ];
  }
}
