import { Administrator } from './clients/administrator.js';
import { Auditor } from './clients/auditor.js';
import { Configuration } from './checks/configuration.js';
import { CommittedLog } from './checks/committed-log.js';
import { LeaseCheck } from './checks/lease-check.js';
import { Oracle } from './checks/oracle.js';
import { RaftCheck } from './checks/raft-check.js';
import { Connection, type ClientParts } from './clients/connection.js';
import { KvClient } from './clients/kv-client.js';
import { LeaseBook, LeaseClient } from './clients/lease-client.js';
import { WatchClient } from './clients/watch-client.js';
import { WitnessClient } from './clients/witness-client.js';
import { BehaviorSubject } from 'rxjs';
import { judgeStore, type StoreCall } from '../linearizability/store-checker.js';
import { FinalChecks } from './final-checks.js';
import { Network } from './network/network.js';
import { noNetworkFaults } from './network/network-counts.js';
import { Trouble } from './network/trouble.js';
import { type RunOptions } from './run.js';
import { SdkLeases } from './workers/sdk-leases.js';
import { noWork, Workforce } from './workers/workforce.js';
import { electionMs } from './world/engine-settings.js';
import { Fate } from './world/fate.js';
import { clientUrlOf, Identities, type Identity } from './world/identity.js';
import { MachineTrouble } from './world/machine-trouble.js';
import { Member } from './world/member.js';
import { drawClusterProfile, drawProfile, type Profile } from './world/profile.js';
import { Schedule } from './world/schedule.js';
import { noFaults } from './world/storage-faults.js';
import { Trace } from './world/trace.js';
import { Violation } from './world/violation.js';

/** A run that is not over by then hangs. */
const virtualLimitMs = 900_000;

/** One small world: members, their clients, and everything that goes wrong for them. */
export class World {
  readonly trace: Trace;
  readonly log: CommittedLog;
  readonly raftCheck: RaftCheck;
  readonly oracle: Oracle;
  readonly counts = noFaults();
  readonly networkCounts = noNetworkFaults();
  readonly schedule: Schedule;
  /** All that there ever were, by number. */
  readonly members: Member[];
  readonly leaseCheck: LeaseCheck;
  readonly book = new LeaseBook();
  readonly watchClients: WatchClient[];
  readonly workforce: Workforce | undefined;
  /** What the witnesses saw. */
  readonly history: StoreCall[] = [];
  /** The search could not decide within its budget whether that is linearizable. */
  isUndecided = false;
  private readonly fate: Fate;
  private readonly profile: Profile;
  private readonly network: Network | undefined;
  private readonly kvClients: KvClient[];
  private readonly leaseClients: LeaseClient[];
  private readonly witnesses: WitnessClient[];
  private readonly operator: Connection;
  readonly auditor: Auditor;
  private readonly administrators: readonly Administrator[];
  private readonly identities: Identities;
  /** The addresses of those that have a machine. */
  private readonly endpoints = new BehaviorSubject<readonly string[]>([]);
  /** Members that were added and have no machine yet. */
  private added = 0;
  private isCalm = false;
  /** Taken from the budget; one more when it is used up. */
  private taken = 0;

  constructor(
    seed: number,
    private readonly options: RunOptions,
  ) {
    const fate = (this.fate = new Fate(seed));
    const { members: count = 1 } = options;
    const drawn = count === 1 ? drawProfile(fate) : drawClusterProfile(fate, count);
    const profile = (this.profile = { ...drawn, ...options.profile });
    this.identities = new Identities(count);
    const { founders } = this.identities;
    const log = (this.log = new CommittedLog(new Configuration(founders.map(({ id }) => id))));
    this.raftCheck = new RaftCheck(log);
    this.trace = new Trace(options.print);
    const schedule = (this.schedule = new Schedule(fate, this.trace, profile.shufflesTies));
    log.compactsByItself = profile.autoCompactionMs > 0;
    log.term = () => this.raftCheck.term;
    this.oracle = new Oracle(log, count === 1);
    this.network = count === 1 ? undefined : this.makeNetwork(count);
    this.members = founders.map((identity) => this.makeMember(identity, true));
    const { network } = profile;
    this.leaseCheck = new LeaseCheck(schedule, slackOf(profile), electionMs, network.clockDrift);
    this.leaseCheck.isLenient = count > 1;
    log.leaseWatcher = this.leaseCheck;
    const takeOperation = (): boolean => !this.isCalm && this.taken++ < profile.operations;
    const { oracle, members } = this;
    const parts: ClientParts = { fate, schedule, members, log, oracle, takeOperation };
    const range = (length: number): number[] => Array.from({ length }, (_, at) => at + 1);
    const around = this.surroundings();
    this.kvClients = range(profile.kvClients).map((at) => new KvClient(parts, profile, around, at));
    this.leaseClients = range(profile.leaseClients).map(
      (at) => new LeaseClient(parts, profile, this.book, this.leaseCheck, 10 + at),
    );
    const resume = options.planted?.resumeRevision ?? ((next: number): number => next);
    this.watchClients = range(profile.watchClients).map(
      (at) => new WatchClient(parts, profile, 20 + at, resume),
    );
    this.witnesses = this.makeWitnesses(parts);
    this.operator = new Connection(parts, 30);
    this.auditor = new Auditor(parts, profile.auditEveryMs, 33);
    this.administrators = this.makeAdministrators(parts);
    this.workforce = profile.workers.workers > 0 ? this.makeWorkforce(parts) : undefined;
    this.tellEndpoints();
  }

  async play(): Promise<void> {
    const { members, schedule, profile, network } = this;
    for (const member of members) this.begin(member);
    const { configuration } = this.log;
    configuration.onAdded = (id) => this.addLater(id);
    configuration.onPromoted = (id) => this.checkPromoted(id);
    this.raftCheck.appliedBy = (member) => members[member - 1].log.applied;
    this.raftCheck.onLeader = () => this.leaseCheck.disturbed();
    for (const client of this.clients) client.start();
    this.workforce?.start();
    const machines = new MachineTrouble({ ...this, fate: this.fate, profile, operator: this.operator });
    machines.start();
    const trouble = this.makeTrouble();
    trouble?.start();
    configuration.onJoint = (leaving) =>
      trouble?.ambush(members.filter(({ id }) => leaving.has(id)).map(({ number }) => number));
    for (const each of this.administrators) each.start();
    const isWorkDone = (): boolean => this.taken > profile.operations || schedule.now >= profile.lastsMs;
    await this.until('the operations are done', isWorkDone);
    schedule.note('nothing breaks any more');
    trouble?.stop();
    for (const each of [...this.administrators, this.auditor]) each.stop();
    if (network !== undefined) network.isCalm = true;
    this.isCalm = true;
    for (const member of members) member.calmDown();
    this.leaseCheck.isLenient = false;
    this.leaseCheck.disturbed();
    for (const client of [...this.leaseClients, ...this.watchClients]) client.stop();
    this.workforce?.finish();
    const ttlMs = profile.leaseTtlSecondsMax * 1000;
    const isWaiting = (): boolean =>
      [...this.kvClients, ...this.leaseClients, ...this.witnesses, ...this.administrators].some(
        (client) => client.isWaiting,
      );
    const { flushMs } = profile.faults;
    await new FinalChecks({ ...this, operator: this.operator, ttlMs, flushMs, isWaiting }).run();
    this.hearWitnesses();
  }

  /** K1 once more, by nothing but what clients saw. */
  private hearWitnesses(): void {
    const { verdict, ordered, stuck } = judgeStore(this.history);
    this.isUndecided = verdict === 'undecided';
    if (verdict !== 'violated') return;
    const calls = stuck.map((call) => JSON.stringify(call)).join('\n  ');
    throw new Violation(
      'K1',
      `no order explains the answers; ${ordered} calls have a place, then one of\n  ${calls}`,
    );
  }

  /** What key-value clients and witnesses asked for. */
  get operations(): number {
    return Math.min(this.taken, this.profile.operations);
  }

  private get clients(): readonly { start(): void; broken(member: Member): void }[] {
    return [
      ...this.kvClients,
      ...this.leaseClients,
      ...this.watchClients,
      ...this.witnesses,
      ...this.administrators,
      this.auditor,
    ];
  }

  private makeNetwork(count: number): Network {
    const { fate, schedule, networkCounts: counts, raftCheck } = this;
    const onSent = (from: number, message: { readonly kind: string; readonly term: number }): void => {
      try {
        raftCheck.sent(from, message);
      } catch (error) {
        schedule.fail(error);
      }
    };
    return new Network({ fate, schedule, profile: this.profile.network, counts, onSent }, count);
  }

  private begin(member: Member): void {
    member.onDown = () => this.connectionsBreak(member);
    member.onServing = () => this.serves();
    member.start();
  }

  /** Somebody sees that the cluster has one more member, and starts it on an empty disk. */
  private addLater(id: bigint): void {
    const { fate, schedule, members, network } = this;
    const number = members.length + ++this.added;
    const delay = fate.draw('time to a first start', number).pick([5, 300, 2_500]);
    schedule.after(delay, `member ${id.toString(16)} gets a machine`, () => {
      this.added--;
      network?.grow();
      const member = this.makeMember(this.identities.add(id), false);
      members.push(member);
      this.tellEndpoints();
      if (this.isCalm) member.calmDown();
      this.begin(member);
    });
  }

  /** etcd #15097: who becomes a voter has shown that it has what the others have. */
  private checkPromoted(id: bigint): void {
    const member = this.members.find((each) => each.id === id);
    if (member?.knowsCluster === true) return;
    throw new Violation('R9', `learner ${id.toString(16)} was promoted, and has nothing`);
  }

  private makeMember(identity: Identity, isFounder: boolean): Member {
    const { fate, schedule, profile, network, counts, options, log } = this;
    const draw = fate.draw('clock', identity.number);
    const { clockDrift } = profile.network;
    const clock =
      network === undefined
        ? { offsetMs: 0, rate: 1 }
        : { offsetMs: draw.below(1_000_000), rate: 1 + clockDrift * (draw.next() - 0.5) };
    return new Member({
      fate,
      schedule,
      profile,
      identity,
      identities: this.identities,
      isFounder,
      network,
      clock,
      log,
      counts,
      planted: options.planted,
      crashAt: options.crashAt,
    });
  }

  private makeWitnesses(parts: ClientParts): WitnessClient[] {
    const { fate, profile, history, network } = this;
    const isWide = fate.chance(0.5, 'wide witnesses', 0, 0);
    const clients = network === undefined ? [] : [41, 42, 43];
    return clients.map((client) => new WitnessClient(parts, profile.thinkMs, client, isWide, history));
  }

  private makeAdministrators(parts: ClientParts): Administrator[] {
    const { profile, networkCounts: counts, raftCheck } = this;
    const given = { ...parts, profile, counts, leader: () => raftCheck.leader };
    const all = [31, 32].map((client) => new Administrator(given, client));
    for (const each of all) each.all = all;
    return all;
  }

  private makeWorkforce(parts: ClientParts): Workforce {
    const { profile, book, leaseCheck, endpoints, log, options } = this;
    return new Workforce({
      ...parts,
      profile: profile.workers,
      clockDrift: profile.network.clockDrift,
      counts: noWork(),
      leases: new SdkLeases(book, leaseCheck, log),
      endpoints,
      wrapTransport: (transports, clock) => options.planted?.transports?.(transports, clock) ?? transports,
    });
  }

  private tellEndpoints(): void {
    this.endpoints.next(this.members.map(({ number }) => clientUrlOf(number)));
  }

  private makeTrouble(): Trouble | undefined {
    const { network, fate, schedule, networkCounts: counts, members, raftCheck } = this;
    if (network === undefined) return undefined;
    return new Trouble({
      fate,
      schedule,
      profile: this.profile.network,
      network,
      counts,
      members,
      leader: () => raftCheck.leader,
      // Not within the engine's own call.
      onCommit: (run) => (this.log.onCommit = () => schedule.after(0, 'an entry is committed', run)),
    });
  }

  private surroundings(): ConstructorParameters<typeof KvClient>[2] {
    const { log, book } = this;
    return {
      get revision() {
        return log.model.revision;
      },
      leases: book.ids,
      lives: { isAlive: (id, index) => log.isAlive(id, index), ids: book.ids, ttlOf: (id) => book.ttlOf(id) },
    };
  }

  private connectionsBreak(member: Member): void {
    for (const client of this.clients) client.broken(member);
    this.operator.broken(member);
    this.workforce?.broken(member);
    this.leaseCheck.disturbed();
  }

  private serves(): void {
    this.leaseCheck.disturbed();
    for (const client of this.watchClients) client.reconnect();
  }

  private async until(what: string, isDone: () => boolean): Promise<void> {
    const isReached = await this.schedule.run(virtualLimitMs, isDone);
    if (!isReached) throw new Violation('R11', `after ${virtualLimitMs} ms it is not so that ${what}`);
  }
}

/** What the disk and the event loop of this world may add to the time of an expiry. */
function slackOf({ faults, network, members }: Profile): number {
  const disk = faults.slowEffectChance > 0 ? 6 * faults.slowEffectMs : 0;
  const stalls = faults.stallChance > 0 ? 10 * faults.stallMs : 0;
  return 500 + disk + stalls + (members > 1 ? 20 * network.latencyMs : 0);
}
