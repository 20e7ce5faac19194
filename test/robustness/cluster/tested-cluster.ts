import { type etcdserverpb } from '@conclave/protocol';
import { freePorts, type MemberKind, MemberProcess } from '../../members/member-process.js';
import { tracedEnvironment } from '../storage-faults/tracer.js';
import { MemberClient, type Patience } from '../traffic/member-client.js';
import { delay, within } from '../traffic/within.js';
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
  readonly network: PeerNetwork;
  private readonly down = new Set<MemberProcess>();
  private readonly paused = new Set<MemberProcess>();
  private readonly former: MemberProcess[] = [];
  private named = 0;

  private constructor(readonly kind: MemberKind) {
    this.network = new PeerNetwork(() => new Map(this.running.map((member) => [member.name, member.pid])));
  }

  /** A new cluster whose members all serve. */
  static async start(kind: MemberKind, size: number): Promise<TestedCluster> {
    const cluster = new TestedCluster(kind);
    try {
      const places = await cluster.places(size);
      const initialCluster = clusterText(places);
      for (const place of places) await cluster.create(place, initialCluster, 'new');
      await Promise.all(cluster.members.map((member) => cluster.startMember(member)));
    } catch (error) {
      await cluster.remove();
      throw error;
    }
    return cluster;
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

  client(member: MemberProcess): MemberClient {
    return new MemberClient(member.clientPort, impatient);
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
    await Promise.all(this.stopped.map((member) => this.start(member)));
  }

  /** A further member with data of its own, not started; the cluster must be told of it by its advertised URL. */
  async prepareJoining(): Promise<MemberProcess> {
    const [place] = await this.places(1);
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
    this.network.close();
  }

  private async places(count: number): Promise<Place[]> {
    const ports = await freePorts(3 * count);
    return Array.from({ length: count }, (_, i) => {
      const [clientPort, peerPort, advertisedPeerPort] = ports.slice(3 * i, 3 * i + 3);
      return { name: `m${++this.named}`, clientPort, peerPort, advertisedPeerPort };
    });
  }

  private async create(
    place: Place,
    initialCluster: string,
    state: 'new' | 'existing',
  ): Promise<MemberProcess> {
    const options = { place: { ...place, initialCluster, state }, environment: tracedEnvironment };
    const member = await MemberProcess.create(this.kind, options);
    this.network.add(place.name, place.advertisedPeerPort, place.peerPort);
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

interface Place {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly advertisedPeerPort: number;
}

function clusterText(places: readonly Place[]): string {
  return places
    .map(({ name, advertisedPeerPort }) => `${name}=http://127.0.0.1:${advertisedPeerPort}`)
    .join(',');
}
