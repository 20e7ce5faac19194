import { Chance } from '../../compat/chance.js';
import { MemberProcess } from '../../members/member-process.js';
import { checkHistory } from '../history/history-checker.js';
import { type History, type Request } from '../history/operation.js';
import { Inspection } from './inspection.js';
import { everything, MemberClient } from './member-client.js';
import { Recorder } from './recorder.js';
import { Watcher } from './watcher.js';
import { delay, within } from './within.js';
import { leasedKeys, perform, plainKeys, Writer } from './writer.js';

export interface CampaignOptions {
  readonly seed: number;
  readonly rounds: number;
  readonly writers: number;
  /** Whether history is compacted during the rounds. */
  readonly compacts: boolean;
  /** How long a round lasts. */
  roundMs(chance: Chance, round: number): number;
  /** What happens to the data directory between the death of the member and its next start: to plant a bug. */
  readonly afterDeath?: (dataDirectory: string) => void;
}

/** What a campaign found and how much it did. */
export interface CampaignReport {
  readonly violations: readonly string[];
  readonly history: History;
  readonly acknowledged: number;
  readonly unknown: number;
  /** Compactions that were acknowledged. */
  readonly compactions: number;
}

/**
 * A member under traffic that is killed again and again and restarted on the same data directory, until a last round in
 * which it is stopped in order. The seed decides what is written and when the kill comes; what the kill hits is chance.
 */
export class Campaign {
  private readonly chance: Chance;
  private readonly recorder = new Recorder();
  private readonly inspection = new Inspection();
  private readonly watchers: readonly Watcher[];
  private readonly writers: readonly Writer[];
  private member!: MemberProcess;
  private clients: MemberClient[] = [];
  private compacted = 0;
  private compactions = 0;
  private isCompactionSure = true;

  constructor(private readonly options: CampaignOptions) {
    const { seed, writers } = options;
    const { recorder } = this;
    this.chance = new Chance(seed);
    this.watchers = createWatchers(recorder);
    this.writers = Array.from({ length: writers }, (_, i) => {
      const chance = new Chance(seed * 1_000 + i + 1);
      return new Writer({ chance, recorder, firstLease: BigInt(i + 1) * 1_000_000n });
    });
  }

  async run(): Promise<CampaignReport> {
    this.member = await MemberProcess.create('conclave');
    try {
      await this.start();
      for (let round = 1; round <= this.options.rounds; round++) await this.round(round);
      await this.end();
      return this.judge();
    } finally {
      await this.disconnect();
      await this.member.remove();
    }
  }

  private async round(round: number): Promise<void> {
    const { chance, member } = this;
    const traffic = this.connect();
    if (this.options.compacts && chance.chance(0.7)) traffic.push(this.compact(this.clients[0]));
    await delay(this.options.roundMs(chance, round));
    // Now and then it is asked to stop, which must not lose or repeat anything either.
    await member.stop(chance.chance(0.15) ? 'SIGTERM' : 'SIGKILL');
    await within(Promise.all(traffic), 'the end of all calls after the death of the member');
    await this.disconnect();
    this.options.afterDeath?.(member.dataDirectory);
    if (chance.chance(0.25)) await this.dieDuringStart();
    await this.start();
    await this.inspect();
  }

  /** Starts the traffic of a round; each promise resolves when its client has nothing more to say. */
  private connect(): Promise<void>[] {
    const port = this.member.clientPort;
    const watching = new MemberClient(port);
    this.clients.push(watching);
    for (const watcher of this.watchers) watcher.connect(watching);
    return this.writers.map((writer) => {
      const client = new MemberClient(port);
      this.clients.push(client);
      return writer.write(client, () => false);
    });
  }

  private async disconnect(): Promise<void> {
    for (const watcher of this.watchers) watcher.disconnect();
    await Promise.all(this.clients.splice(0).map((client) => client.close()));
  }

  private start(): Promise<void> {
    return within(this.member.start(), 'a start');
  }

  private async dieDuringStart(): Promise<void> {
    const starting = this.member.start().catch(() => undefined);
    await delay(this.chance.below(700));
    await this.member.stop('SIGKILL');
    await starting;
  }

  /** Compacts what is in the log and what all watchers have passed. Ends early when the member dies meanwhile. */
  private async compact(client: MemberClient): Promise<void> {
    const target = this.inspection.known - this.chance.below(10);
    if (target <= this.compacted) return;
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

  /** Writes one revision that concerns every watcher. */
  private async touchAll(client: MemberClient): Promise<number | undefined> {
    const request: Request = { kind: 'batch', puts: [plainKeys[0], leasedKeys[0]], remove: undefined };
    const id = this.recorder.nextId();
    const outcome = await this.recorder.run(id, request, () => perform(client, id, request));
    return outcome.kind === 'done' ? outcome.revision : undefined;
  }

  private async allReached(revision: number): Promise<void> {
    await Promise.all(this.watchers.map((watcher) => watcher.until(revision)));
  }

  private async inspect(): Promise<void> {
    const { clientPort } = this.member;
    await this.inspection.read(clientPort, this.compacted, this.isCompactionSure, this.chance.next());
    await this.inspection.checkLeases(clientPort, this.recorder.operations);
  }

  /** A last write that everybody hears of, and a stop in order. */
  private async end(): Promise<void> {
    const watching = new MemberClient(this.member.clientPort);
    this.clients.push(watching);
    for (const watcher of this.watchers) watcher.connect(watching);
    const revision = await this.touchAll(watching);
    if (revision === undefined) throw new Error('a member without faults did not take a write');
    await within(this.allReached(revision), `revision ${revision} to reach all watchers`);
    await this.disconnect();
    await this.inspect();
    await this.member.stop('SIGTERM');
    const code = await this.member.ended();
    if (code !== 0)
      throw new Error(`a member that was asked to stop ended with ${code}:\n${this.member.output}`);
  }

  private judge(): CampaignReport {
    const { operations, arrivalMs } = this.recorder;
    const { log, rereadings, snapshots, violations } = this.inspection;
    const watches = [...this.watchers, ...rereadings];
    const history = { operations, log, watches, snapshots, arrivalMs };
    const cancelled = this.watchers
      .filter(({ cancelReason }) => cancelReason !== undefined)
      .map(({ name, cancelReason }) => `watcher ${name} was ended: ${cancelReason}`);
    return {
      violations: [...violations, ...cancelled, ...checkHistory(history)],
      history,
      acknowledged: operations.filter(({ outcome }) => outcome.kind === 'done').length,
      unknown: operations.filter(({ outcome }) => outcome.kind === 'unknown').length,
      compactions: this.compactions,
    };
  }
}

function createWatchers(recorder: Recorder): Watcher[] {
  const onRevision = (revision: number): void => recorder.arrived(revision);
  const plain = { key: Buffer.from('plain/'), range_end: Buffer.from('plain0') };
  const isPlain = (key: string): boolean => key.startsWith('plain/');
  const single = { key: Buffer.from(leasedKeys[0]), range_end: Buffer.alloc(0) };
  return [
    new Watcher({ name: 'everything', ...everything, matches: () => true, onRevision }),
    new Watcher({ name: 'prefix', ...plain, matches: isPlain }),
    new Watcher({ name: 'progress', ...plain, matches: isPlain, trustsProgress: true }),
    new Watcher({ name: 'one key', ...single, matches: (key) => key === leasedKeys[0] }),
  ];
}
