import { type MemberProcess } from '../../members/member-process.js';
import { delay, within } from '../traffic/within.js';
import { agree } from './agreement.js';
import { ClusterTraffic } from './cluster-traffic.js';
import { TestedCluster } from './tested-cluster.js';

/** A cluster of three under load, for what happens once and not in rounds. */
export class LoadedCluster {
  private constructor(
    readonly cluster: TestedCluster,
    readonly traffic: ClusterTraffic,
  ) {}

  static async start(seed: number): Promise<LoadedCluster> {
    const cluster = await within(TestedCluster.start('conclave', 3), 'the first start', 60_000);
    const traffic = new ClusterTraffic(seed, () => cluster.members);
    traffic.go();
    const loaded = new LoadedCluster(cluster, traffic);
    try {
      await traffic.progress(50, 'the first writes');
    } catch (error) {
      await loaded.end();
      throw error;
    }
    return loaded;
  }

  /** Heals everything and ends the load; then all members serve and have the same, and the history is judged. */
  async findings(): Promise<string[]> {
    const { cluster, traffic } = this;
    await cluster.heal();
    const all = Promise.all(cluster.members.map((member) => traffic.writeThrough(member)));
    await within(all, 'a write through every member');
    await traffic.stop();
    await traffic.drainWatchers(await traffic.writeThrough(cluster.members[0]));
    const { snapshots, violations } = await agree(cluster.members, 'at the end');
    traffic.inspection.snapshots.push(...snapshots);
    await traffic.inspect(cluster.members[0], 0.5);
    return [...cluster.unexpectedEnds, ...violations, ...traffic.judge(), ...traffic.hearWitness()];
  }

  async end(): Promise<void> {
    await this.cluster.remove();
    await this.traffic.stop().catch(() => undefined);
  }
}

/** The texts of all warnings that a member printed, with their reasons. */
function warnings({ output }: MemberProcess): string[] {
  const lines = output.split('\n').filter((line) => line.includes('"level":"warn"') && line.endsWith('}'));
  return lines.map((line) => {
    const { msg, reason = '' } = JSON.parse(line) as { msg: string; reason?: string };
    return `${msg}: ${reason}`;
  });
}

/** Resolves when a member has printed such a warning. */
export async function untilWarned(member: MemberProcess, text: RegExp): Promise<void> {
  const isThere = async (): Promise<void> => {
    while (!warnings(member).some((warning) => text.test(warning))) await delay(50);
  };
  await within(isThere(), `a warning of ${member.name} like ${text.source}`);
}
