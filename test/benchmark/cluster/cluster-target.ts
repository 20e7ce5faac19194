import { type ConclaveClient, createClient } from '@conclave/client';
import { etcdserverpb } from '@conclave/protocol';
import { MemberCluster } from '../../members/member-cluster.js';
import { type MemberKind, type MemberProcess } from '../../members/member-process.js';
import { MemberChannel } from './member-channel.js';

const { StatusRequest, StatusResponse, MoveLeaderRequest } = etcdserverpb;
const size = 3;
const pollMs = 10;
const settleMs = 1_000;
/** A cluster that does not settle for so long is broken. */
const patienceMs = 30_000;

export interface Roles {
  readonly leader: MemberProcess;
  readonly followers: readonly MemberProcess[];
  readonly term: bigint;
}

/** Three members under measurement. */
export class ClusterTarget {
  private readonly channels = new Map<MemberProcess, MemberChannel>();

  private constructor(
    readonly name: MemberKind,
    private readonly cluster: MemberCluster,
  ) {}

  static async start(name: MemberKind, nodeArguments: readonly string[] = []): Promise<ClusterTarget> {
    const flags = ['--quota-backend-bytes=8589934592'];
    const target = new ClusterTarget(name, await MemberCluster.create(name, size, { flags, nodeArguments }));
    try {
      await target.cluster.start();
      await target.roles();
      return target;
    } catch (error) {
      await target.remove();
      throw error;
    }
  }

  get members(): readonly MemberProcess[] {
    return this.cluster.members;
  }

  channel(member: MemberProcess): MemberChannel {
    let channel = this.channels.get(member);
    if (channel === undefined) this.channels.set(member, (channel = new MemberChannel(member.address)));
    return channel;
  }

  async status(member: MemberProcess): Promise<etcdserverpb.StatusResponse> {
    const answer = await this.channel(member).call(
      '/etcdserverpb.Maintenance/Status',
      StatusRequest.encode(StatusRequest.create()).finish(),
    );
    return StatusResponse.decode(answer);
  }

  /** Resolves as soon as all members agree on a leader. */
  async roles(): Promise<Roles> {
    return eventually('the members agree on a leader', async () => {
      const views = await Promise.all(this.members.map((member) => this.status(member)));
      const leader = this.members[views.findIndex((view) => view.header?.member_id === view.leader)];
      const [first] = views;
      if (leader === undefined || views.some((view) => view.leader !== first.leader)) return undefined;
      const followers = this.members.filter((member) => member !== leader);
      return { leader, followers, term: first.raftTerm };
    });
  }

  /** Resolves as soon as every member has applied what the most advanced one had. */
  async caughtUp(): Promise<void> {
    await eventually('every member has caught up', async () => {
      const views = await Promise.all(this.members.map((member) => this.status(member)));
      const newest = Math.max(...views.map((view) => Number(view.raftIndex)));
      const later = await Promise.all(this.members.map((member) => this.status(member)));
      return later.every((view) => Number(view.raftAppliedIndex) >= newest) || undefined;
    });
  }

  /**
   * Starts a member that was ended; resolves when it is as the others are: level with them, its HTTP side loaded, which
   * takes its event loop for a while, and a moment later.
   */
  async restart(member: MemberProcess): Promise<void> {
    await member.start();
    await eventually(
      'the HTTP side answers',
      async () => (await fetch(`${member.url}/health`)).ok || undefined,
    );
    await this.caughtUp();
    await pause(settleMs);
  }

  /** Asks the leader to hand over to this member. */
  async moveLeader(leader: MemberProcess, to: MemberProcess): Promise<void> {
    const targetID = (await this.status(to)).header!.member_id;
    const request = MoveLeaderRequest.encode(MoveLeaderRequest.fromPartial({ targetID })).finish();
    await this.channel(leader).call('/etcdserverpb.Maintenance/MoveLeader', request);
  }

  /** Our SDK with the addresses of all members; it tries this one first. */
  client(first: MemberProcess): ConclaveClient {
    const endpoints = this.members.map(({ url }) => url);
    const place = (this.members.indexOf(first) + 0.5) / endpoints.length;
    let isPlaced = false;
    const random = (): number => {
      if (isPlaced) return Math.random();
      isPlaced = true;
      return place;
    };
    return createClient({ endpoints, random });
  }

  async remove(): Promise<void> {
    await Promise.all([...this.channels.values()].map((channel) => channel.close()));
    await this.cluster.remove();
  }
}

/** Asks again until there is an answer; an error means that there is none yet. @throws when there is none for long */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const answer = await ask().catch(() => undefined);
    if (answer !== undefined) return answer;
    if (performance.now() > end) throw new Error(`waited in vain: ${what}`);
    await pause(pollMs);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Runs with a cluster of ours, which is removed afterwards. */
export async function withCluster<T>(run: (cluster: ClusterTarget) => Promise<T>): Promise<T> {
  const cluster = await ClusterTarget.start('conclave');
  try {
    return await run(cluster);
  } finally {
    await cluster.remove();
  }
}
