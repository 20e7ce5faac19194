import { type etcdserverpb } from '@conclave/protocol';
import { type MemberKind, MemberProcess } from '../../members/member-process.js';
import { MemberClient, type Patience } from '../traffic/member-client.js';
import { delay, within } from '../traffic/within.js';
import { createNetwork, Machine, plainSurroundings, type Surroundings } from './machine.js';
import { type MemberNetwork, type NetworkPlace } from './member-network.js';
import { PeerNetwork } from './peer-network.js';

/** Of a member among broken ones no answer is due. */
export const impatient: Patience = { callMs: 2_500, connectMs: 1_000 };

/**
 * Members in processes of their own, with a network between them that can be broken.
 *
 * Invariant: `down` has exactly those of `members` whose process was ended or not started by the owner; a process that ends
 * otherwise is in `unexpectedEnds`.
 */
export class TestedCluster {
  readonly members: MemberProcess[] = [];
  readonly unexpectedEnds: string[] = [];
  network!: MemberNetwork;
  private readonly machines = new Map<MemberProcess, Machine>();
  private readonly down = new Set<MemberProcess>();
  private readonly paused = new Set<MemberProcess>();
  private readonly former: MemberProcess[] = [];
  private named = 0;

  private constructor(
    readonly kind: MemberKind,
    private readonly surroundings: Surroundings,
  ) {}

  /** A new cluster whose members all serve. */
  static async start(
    kind: MemberKind,
    size: number,
    surroundings = plainSurroundings,
  ): Promise<TestedCluster> {
    const cluster = new TestedCluster(kind, surroundings);
    const pids = (): Map<string, number> =>
      new Map(cluster.running.map((member) => [member.name, member.pid]));
    cluster.network = await createNetwork(surroundings.network, pids);
    try {
      const places: Place[] = [];
      for (let i = 0; i < size; i++) places.push(await cluster.place());
      const initialCluster = clusterText(places);
      for (const place of places) await cluster.create(place, initialCluster, 'new');
      await Promise.all(cluster.members.map((member) => cluster.startMember(member)));
    } catch (error) {
      await cluster.remove();
      throw error;
    }
    return cluster;
  }

  /** The proxies between the members. @throws Error when they are in namespaces instead. */
  get links(): PeerNetwork {
    if (this.network instanceof PeerNetwork) return this.network;
    throw new Error('there are no link proxies between these members');
  }

  get running(): MemberProcess[] {
    return this.members.filter((member) => !this.down.has(member));
  }

  get stopped(): MemberProcess[] {
    return this.members.filter((member) => this.down.has(member));
  }

  /** More than half. */
  get majority(): number {
    return Math.floor(this.members.length / 2) + 1;
  }

  isDown(member: MemberProcess): boolean {
    return this.down.has(member);
  }

  machineOf(member: MemberProcess): Machine {
    const machine = this.machines.get(member);
    if (machine === undefined) throw new Error(`${member.name} is no member of this cluster`);
    return machine;
  }

  client(member: MemberProcess): MemberClient {
    return new MemberClient(member, impatient);
  }

  async status(member: MemberProcess): Promise<etcdserverpb.StatusResponse> {
    const client = this.client(member);
    try {
      return await client.status();
    } finally {
      await client.close();
    }
  }

  /** The running member that says that it leads, in the highest term; waits for one. */
  async leader(): Promise<MemberProcess> {
    return within(this.untilLeader(), 'a leader among the running members', 30_000);
  }

  /** The running members that do not lead, in the order of their names. */
  async followers(): Promise<MemberProcess[]> {
    const leader = await this.leader();
    return this.running.filter((member) => member !== leader);
  }

  async idOf(member: MemberProcess): Promise<bigint> {
    return (await this.status(member)).header!.member_id;
  }

  /** Ends a member; `start` or `heal` start it again. */
  async kill(member: MemberProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.down.add(member);
    this.paused.delete(member);
    await within(member.stop(signal), `the end of ${member.name} after ${signal}`);
    this.network.refuse(member.name);
  }

  /** Resolves when it serves clients, which needs a majority. */
  async start(member: MemberProcess): Promise<void> {
    await within(this.startMember(member), `a start of ${member.name}`);
  }

  /** Starts a member that may refuse to: then it stays down, and what it printed is given. */
  async tryStart(member: MemberProcess): Promise<string | undefined> {
    await this.network.listen(member.name);
    const ready = member.start();
    this.down.delete(member);
    try {
      await within(ready, `a start of ${member.name} or its end`);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes('before it was ready')) throw error;
      this.down.add(member);
      this.network.refuse(member.name);
      return member.output;
    }
    void this.noteEnd(member);
    return undefined;
  }

  /** Kills it in the middle of a start. */
  async startAndKill(member: MemberProcess, afterMs: number): Promise<void> {
    const starting = this.startMember(member).catch(() => undefined);
    await delay(afterMs);
    await this.kill(member);
    await starting;
  }

  /** Resolves when a member ended by itself that is to do so; it counts as stopped. */
  async endsByItself(member: MemberProcess, what: string): Promise<number | string> {
    this.down.add(member);
    const end = await within(member.ended(), what);
    this.network.refuse(member.name);
    return end;
  }

  pause(member: MemberProcess): void {
    this.paused.add(member);
    process.kill(member.pid, 'SIGSTOP');
  }

  resume(member: MemberProcess): void {
    if (this.paused.delete(member)) process.kill(member.pid, 'SIGCONT');
  }

  /** Undoes everything: all members run, all links are open. Members need not serve yet when they ran before. */
  async heal(): Promise<void> {
    for (const member of [...this.paused]) this.resume(member);
    this.network.heal();
    for (const machine of this.machines.values()) machine.clock?.shift(0);
    await Promise.all(this.stopped.map((member) => this.start(member)));
  }

  /** A further member with data of its own, not started; the cluster must be told of it by its advertised URL. */
  async prepareJoining(): Promise<MemberProcess> {
    const place = await this.place();
    const known = this.members.map(({ name, advertisedPeerUrl }) => `${name}=${advertisedPeerUrl}`);
    return this.create(place, [...known, clusterText([place])].join(','), 'existing');
  }

  /** Takes a member that the cluster removed out of the test; its process is ended if it runs. */
  async dismiss(member: MemberProcess): Promise<void> {
    await this.kill(member);
    this.network.remove(member.name);
    this.down.delete(member);
    this.members.splice(this.members.indexOf(member), 1);
    this.former.push(member);
  }

  async remove(): Promise<void> {
    for (const member of this.members) this.down.add(member);
    await Promise.all([...this.members, ...this.former].map((member) => member.remove()));
    for (const machine of this.machines.values()) machine.remove();
    await this.network.close();
  }

  private async place(): Promise<Place> {
    const name = `m${++this.named}`;
    return { name, ...(await this.network.place(name)) };
  }

  private async create(
    place: Place,
    initialCluster: string,
    state: 'new' | 'existing',
  ): Promise<MemberProcess> {
    const machine = new Machine(this.kind, place, this.surroundings);
    const options = { ...machine.options, place: { ...place, initialCluster, state } };
    const member = await MemberProcess.create(this.kind, options);
    this.machines.set(member, machine);
    this.members.push(member);
    this.down.add(member);
    return member;
  }

  private async startMember(member: MemberProcess): Promise<void> {
    await this.network.listen(member.name);
    const ready = member.start();
    this.down.delete(member);
    void this.noteEnd(member);
    await ready;
  }

  private async noteEnd(member: MemberProcess): Promise<void> {
    const end = await member.ended();
    if (this.down.has(member)) return;
    this.down.add(member);
    this.network.refuse(member.name);
    this.unexpectedEnds.push(`${member.name} ended with ${end} by itself: ${member.output.slice(-2_000)}`);
  }

  private async untilLeader(): Promise<MemberProcess> {
    for (;;) {
      const views = await Promise.all(
        this.running.map(async (member) => ({
          member,
          view: await this.status(member).catch(() => undefined),
        })),
      );
      const leaders = views.filter(
        ({ view }) => view !== undefined && view.leader === view.header?.member_id,
      );
      leaders.sort((a, b) => Number(b.view!.raftTerm - a.view!.raftTerm));
      if (leaders.length > 0) return leaders[0].member;
      await delay(50);
    }
  }
}

interface Place extends NetworkPlace {
  readonly name: string;
}

function clusterText(places: readonly Place[]): string {
  return places
    .map(({ name, host, advertisedPeerPort }) => `${name}=http://${host}:${advertisedPeerPort}`)
    .join(',');
}
