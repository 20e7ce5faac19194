import { Chance } from '../../compat/chance.js';
import { checkHistory } from '../history/history-checker.js';
import { type History, type Outcome, type Request } from '../history/operation.js';
import { Inspection } from './inspection.js';
import { type ClientAddress, MemberClient } from './member-client.js';
import { Recorder } from './recorder.js';
import { type Watcher } from './watcher.js';
import { createWatchers } from './watchers.js';
import { delay, within } from './within.js';
import { leasedKeys, perform, plainKeys, Writer } from './writer.js';

/** What was found and how much was done. */
export interface TrafficReport {
  readonly violations: readonly string[];
  readonly history: History;
  readonly acknowledged: number;
  readonly unknown: number;
  /** Compactions that were acknowledged. */
  readonly compactions: number;
}

/**
 * The clients of one member over all its lives: writers and watchers, what they learnt, and what an inspection between
 * two lives finds. The member is the caller's business.
 */
export class Traffic {
  readonly chance: Chance;
  readonly recorder = new Recorder();
  readonly watchers: readonly Watcher[];
  private readonly inspection = new Inspection();
  private readonly writers: readonly Writer[];
  private clients: MemberClient[] = [];
  private compacted = 0;
  private compactions = 0;
  private isCompactionSure = true;

  constructor(seed: number, writers: number) {
    const { recorder } = this;
    this.chance = new Chance(seed);
    this.watchers = createWatchers(recorder);
    this.writers = Array.from({ length: writers }, (_, i) => {
      const chance = new Chance(seed * 1_000 + i + 1);
      return new Writer({ chance, recorder, firstLease: BigInt(i + 1) * 1_000_000n });
    });
  }

  /**
   * Connects all watchers and writers. The promises resolve when a client has nothing more to say: when `isOver` says so
   * or when its connection is lost.
   */
  connect(member: ClientAddress, isOver: () => boolean = () => false): Promise<void>[] {
    this.connectWatchers(member);
    return this.writers.map((writer) => {
      const client = new MemberClient(member);
      this.clients.push(client);
      return writer.write(client, isOver);
    });
  }

  async disconnect(): Promise<void> {
    for (const watcher of this.watchers) watcher.disconnect();
    await Promise.all(this.clients.splice(0).map((client) => client.close()));
  }

  /** Compacts what is in the log and what all watchers have passed. Ends early when the member dies meanwhile. */
  async compact(member: ClientAddress): Promise<void> {
    const target = this.inspection.known - this.chance.below(10);
    if (target <= this.compacted) return;
    const client = new MemberClient(member);
    this.clients.push(client);
    await delay(this.chance.below(200));
    const revision = await this.touchAll(client);
    if (revision === undefined) return;
    const lost = new Promise<void>((resolve) => {
      client.channel.onState = (state) => state !== 'ready' && resolve();
    });
    await Promise.race([this.allReached(revision).catch(() => undefined), lost]);
    if (this.watchers.some(({ reached }) => reached < revision)) return;
    this.compacted = target;
    this.isCompactionSure = await client.compact(target).then(
      () => true,
      () => false,
    );
    if (this.isCompactionSure) this.compactions++;
  }

  /** Reads everything that can be read while nobody writes. */
  async inspect(member: ClientAddress): Promise<void> {
    await this.inspection.read(member, this.compacted, this.isCompactionSure, this.chance.next());
    await this.inspection.checkLeases(member, this.recorder.operations);
  }

  /** A last write that every watcher hears of, and a last inspection. */
  async finish(member: ClientAddress): Promise<void> {
    const client = this.connectWatchers(member);
    const revision = await this.touchAll(client);
    if (revision === undefined) throw new Error('a member without faults did not take a write');
    await within(this.allReached(revision), `revision ${revision} to reach all watchers`);
    await this.disconnect();
    await this.inspect(member);
  }

  /** Runs one operation beside those of the writers. */
  run(client: MemberClient, request: Request): Promise<Outcome> {
    const id = this.recorder.nextId();
    return this.recorder.run(id, request, () => perform(client, id, request));
  }

  judge(): TrafficReport {
    const { operations, arrivalMs } = this.recorder;
    const { log, rereadings, snapshots, violations } = this.inspection;
    const watches = [...this.watchers, ...rereadings];
    const history = { operations, log, watches, snapshots, arrivalMs };
    const ended = this.watchers
      .filter(({ cancelReason }) => cancelReason !== undefined)
      .map(({ name, cancelReason }) => `watcher ${name} was ended: ${cancelReason}`);
    return {
      violations: [...violations, ...ended, ...checkHistory(history)],
      history,
      acknowledged: this.recorder.acknowledged,
      unknown: operations.filter(({ outcome }) => outcome.kind === 'unknown').length,
      compactions: this.compactions,
    };
  }

  private connectWatchers(member: ClientAddress): MemberClient {
    const client = new MemberClient(member);
    this.clients.push(client);
    for (const watcher of this.watchers) watcher.connect(client);
    return client;
  }

  /** Writes one revision that concerns every watcher. */
  private async touchAll(client: MemberClient): Promise<number | undefined> {
    const puts = [plainKeys[0], leasedKeys[0]];
    const outcome = await this.run(client, { kind: 'batch', puts, remove: undefined });
    return outcome.kind === 'done' ? outcome.revision : undefined;
  }

  private async allReached(revision: number): Promise<void> {
    await Promise.all(this.watchers.map((watcher) => watcher.until(revision)));
  }
}
