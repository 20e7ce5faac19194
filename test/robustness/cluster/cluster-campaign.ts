import { Chance } from '../../compat/chance.js';
import { type MemberKind, type MemberProcess } from '../../members/member-process.js';
import { type History } from '../history/operation.js';
import { delay, within } from '../traffic/within.js';
import { agree } from './agreement.js';
import { ClusterTraffic } from './cluster-traffic.js';
import { type Fault } from './fault.js';
import { type Surroundings } from './machine.js';
import { TestedCluster } from './tested-cluster.js';

export interface ClusterCampaignOptions {
  readonly kind: MemberKind;
  readonly seed: number;
  readonly size: 3 | 5;
  /** One round each, in this order. */
  readonly faults: readonly Fault[];
  /** By default link proxies between members whose disks are those of the machine. */
  readonly surroundings?: Surroundings;
  /** The longest time that a fault lasts, in ms, beyond what it takes itself. */
  readonly holdMsMax: number;
}

/** One round as it went. */
export interface RoundReport {
  /** With the network, unless it is that of link proxies. */
  readonly fault: string;
  readonly violations: number;
  /** Time from healing until every member took a write and a linearizable read, ms. */
  readonly servedMs: number;
  readonly acknowledged: number;
  readonly unknown: number;
}

export interface CampaignReport {
  readonly rounds: readonly RoundReport[];
  readonly violations: readonly string[];
  readonly compactions: number;
  /** What the members printed in rounds after which they took long to serve again. */
  readonly slow: readonly string[];
  readonly history: History;
}

/** A start takes two to three seconds when all members start at once on two cores. */
const slowMs = Number(process.env['CONCLAVE_SLOW_MS'] ?? 8_000);

/** Round by round: traffic, a fault, healing, and judgement of everything up to there. It ends with the first violation. */
export class ClusterCampaign {
  private readonly chance: Chance;
  private readonly rounds: RoundReport[] = [];
  private readonly slow: string[] = [];
  private cluster!: TestedCluster;
  private traffic!: ClusterTraffic;

  constructor(private readonly options: ClusterCampaignOptions) {
    this.chance = new Chance(options.seed);
  }

  async run(): Promise<CampaignReport> {
    const { kind, size, seed, faults, surroundings } = this.options;
    const starting = TestedCluster.start(kind, size, surroundings);
    this.cluster = await within(starting, 'the first start of the cluster', 60_000);
    this.traffic = new ClusterTraffic(seed, () => this.cluster.members);
    let violations: string[] = [];
    try {
      for (const [place, fault] of faults.entries()) {
        violations = await this.round(`round ${place + 1} (${fault.name})`, fault);
        if (violations.length > 0) break;
      }
      if (violations.length === 0) violations = this.traffic.hearWitness();
      const { compactions } = this.traffic;
      const { rounds, slow } = this;
      return { rounds, violations, compactions, slow, history: this.traffic.history() };
    } finally {
      await this.cluster.remove();
      await this.traffic.stop().catch(() => undefined);
    }
  }

  /** What is wrong in it. Whatever takes too long is wrong, too. */
  private async round(name: string, fault: Fault): Promise<string[]> {
    const { recorder } = this.traffic;
    const before = recorder.operations.length;
    let servedMs = Infinity;
    let violations: string[];
    let words: string[] = [];
    try {
      await this.underFault(fault);
      servedMs = await this.untilServing();
      if (servedMs > slowMs) this.slow.push(`${name}: ${servedMs} ms`, ...this.lastWords());
      await this.quiesce(name);
      violations = [...this.cluster.unexpectedEnds, ...this.traffic.judge()].map(
        (text) => `${name}: ${text}`,
      );
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      violations = [...this.cluster.unexpectedEnds, `${name}: ${text}`];
      words = this.lastWords();
    }
    const operations = recorder.operations.slice(before);
    const count = (kind: string): number => operations.filter(({ outcome }) => outcome.kind === kind).length;
    const { network } = this.cluster;
    this.rounds.push({
      fault: network.kind === 'links' ? fault.name : `${fault.name} (${network.kind})`,
      violations: violations.length,
      servedMs,
      acknowledged: count('done'),
      unknown: count('unknown'),
    });
    return [...violations, ...words];
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
    return this.cluster.members.map(({ name, output }) => `${name} printed: ${output.slice(-3_000)}`);
  }
}
