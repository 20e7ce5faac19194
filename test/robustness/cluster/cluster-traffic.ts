import { Chance } from '../../compat/chance.js';
import { type MemberProcess } from '../../members/member-process.js';
import { checkHistory } from '../history/history-checker.js';
import { type History, type Outcome, type Request } from '../history/operation.js';
import { hearWitness } from '../history/witness.js';
import { Inspection } from '../traffic/inspection.js';
import { MemberClient } from '../traffic/member-client.js';
import { Recorder } from '../traffic/recorder.js';
import { type Watcher } from '../traffic/watcher.js';
import { createWatchers } from '../traffic/watchers.js';
import { delay, within } from '../traffic/within.js';
import { leasedKeys, perform, plainKeys, Writer } from '../traffic/writer.js';
import { type Roaming, roamWatching, roamWriting } from './roamer.js';
import { impatient } from './tested-cluster.js';

const writersCount = 6;

/** The clients of a cluster over all rounds: writers and watchers that roam, what they learnt, what inspections find. */
export class ClusterTraffic {
  readonly recorder = new Recorder();
  readonly inspection = new Inspection();
  readonly violations: string[] = [];
  compactions = 0;
  private readonly watchers: readonly Watcher[] = createWatchers(this.recorder);
  private readonly writers: readonly { writer: Writer; chance: Chance }[];
  private readonly watcherChance: Chance;
  private compacted = 0;
  private isCompactionSure = true;
  private isOver = false;
  private running: Promise<void>[] = [];

  /** @param members The members as of now. */
  constructor(
    seed: number,
    private readonly members: () => readonly MemberProcess[],
  ) {
    const { recorder } = this;
    this.watcherChance = new Chance(seed * 1_000);
    this.writers = Array.from({ length: writersCount }, (_, i) => {
      const chance = new Chance(seed * 1_000 + i + 1);
      const firstLease = BigInt(i + 1) * 1_000_000n;
      return { chance, writer: new Writer({ chance, recorder, firstLease, pauseMsMax: 16, localReads: 30 }) };
    });
  }

  /** Lets all clients go until `stop`. */
  go(): void {
    this.isOver = false;
    this.running = [
      ...this.writers.map(({ writer, chance }) => roamWriting(writer, this.roaming(chance))),
      ...this.watchers.map((watcher) => roamWatching(watcher, this.roaming(this.watcherChance))),
    ];
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await within(Promise.all(this.running), 'the end of all calls');
  }

  /** Resolves after so many more acknowledgements; rejects when they do not come. */
  progress(count: number, what: string): Promise<void> {
    return within(this.recorder.moreAcknowledged(count), what, 20_000);
  }

  /** Many small writes through these members, so that the log grows: `count` through each. */
  async flood(members: readonly MemberProcess[], count: number): Promise<void> {
    await Promise.all(
      members.map(async (member) => {
        const client = new MemberClient(member, impatient);
        const lane = async (): Promise<void> => {
          for (let i = 0; i < count / 20; i++) await this.run(client, putOf(plainKeys[i % plainKeys.length]));
        };
        await Promise.all(Array.from({ length: 20 }, lane));
        await client.close();
      }),
    );
  }

  /** One write of at least so many bytes over a connection. */
  putThrough(client: MemberClient, padding: number): Promise<Outcome> {
    return this.run(client, { ...putOf(this.watcherChance.pick(plainKeys)), padding });
  }

  /** A write that every watcher must hear of, through one member; tried until it is acknowledged. */
  async writeThrough(member: MemberProcess): Promise<number> {
    const puts = [plainKeys[0], leasedKeys[0]];
    for (;;) {
      const client = new MemberClient(member, impatient);
      const outcome = await this.run(client, { kind: 'batch', puts, remove: undefined });
      await client.close();
      if (outcome.kind === 'done') return outcome.revision;
      await delay(50);
    }
  }

  /** All watchers hear of everything up to `revision`, each at a drawn member, while nobody writes. */
  async drainWatchers(revision: number): Promise<void> {
    const clients = this.watchers.map((watcher) => {
      const client = new MemberClient(this.watcherChance.pick(this.members()), impatient);
      watcher.connect(client);
      return client;
    });
    const all = Promise.all(this.watchers.map((watcher) => watcher.until(revision)));
    await within(all, `revision ${revision} to reach all watchers`);
    for (const watcher of this.watchers) watcher.disconnect();
    await Promise.all(clients.map((client) => client.close()));
  }

  /** Compacts what all watchers have passed and what is in the log of the inspections. */
  async compact(member: MemberProcess, keep: number): Promise<void> {
    const target = this.inspection.known - keep;
    if (target <= this.compacted) return;
    const client = new MemberClient(member, impatient);
    this.compacted = target;
    this.isCompactionSure = await client.compact(target).then(
      () => true,
      () => false,
    );
    if (this.isCompactionSure) this.compactions++;
    await client.close();
  }

  /** Reads what is new, and more, from one member that has everything. */
  async inspect(member: MemberProcess, drawn: number): Promise<void> {
    await this.inspection.read(member, this.compacted, this.isCompactionSure, drawn);
    await this.inspection.checkLeases(member, this.recorder.operations);
  }

  history(): History {
    const { operations, arrivalMs } = this.recorder;
    const { log, rereadings, snapshots } = this.inspection;
    return { operations, log, watches: [...this.watchers, ...rereadings], snapshots, arrivalMs };
  }

  /** Everything that is wrong up to now, while no client is at work. */
  judge(): string[] {
    const ended = this.watchers
      .filter(({ cancelReason }) => cancelReason !== undefined)
      .map(({ name, cancelReason }) => `watcher ${name} was ended: ${cancelReason}`);
    return [...this.violations, ...this.inspection.violations, ...ended, ...checkHistory(this.history())];
  }

  /** The second opinion, at the end of everything. */
  hearWitness(): string[] {
    return hearWitness(this.recorder.operations, 'plain/');
  }

  private run(client: MemberClient, request: Request): Promise<Outcome> {
    const id = this.recorder.nextId();
    return this.recorder.run(id, request, () => perform(client, id, request));
  }

  private roaming(chance: Chance): Roaming {
    return { chance, members: this.members, isOver: () => this.isOver };
  }
}

function putOf(key: string): Request & { readonly kind: 'put' } {
  return { kind: 'put', key, lease: 0n, padding: 0 };
}
