import { type ClientOptions, type ConclaveClient, createClient } from '@conclave/client';
import { etcdserverpb } from '@conclave/protocol';
import { RpcClient } from '../../compat/rpc-client.js';
import { MemberCluster } from '../../members/member-cluster.js';
import {
  type MemberKind,
  type MemberProcess,
  type MemberProcessOptions,
} from '../../members/member-process.js';

const { StatusRequest, StatusResponse } = etcdserverpb;

/** A running cluster and its clients; everything is ended by `end`. */
export class ClusterFixture {
  private readonly clients: ConclaveClient[] = [];
  private readonly rpcClients = new Map<MemberProcess, RpcClient>();

  private constructor(readonly cluster: MemberCluster) {}

  static async start(
    size: number,
    options: Omit<MemberProcessOptions, 'place' | 'directory'> = {},
    kind: MemberKind = 'conclave',
  ): Promise<ClusterFixture> {
    const fixture = new ClusterFixture(await MemberCluster.create(kind, size, options));
    try {
      await fixture.cluster.start();
    } catch (error) {
      await fixture.end();
      throw error;
    }
    return fixture;
  }

  get members(): MemberProcess[] {
    return this.cluster.members;
  }

  /** A client of these members; of all by default. */
  client(
    members: readonly MemberProcess[] = this.members,
    options: Partial<ClientOptions> = {},
  ): ConclaveClient {
    const client = createClient({ endpoints: members.map(({ url }) => url), ...options });
    this.clients.push(client);
    return client;
  }

  async status(member: MemberProcess): Promise<etcdserverpb.StatusResponse> {
    const rpc = this.rpcClients.get(member) ?? new RpcClient(member.address);
    this.rpcClients.set(member, rpc);
    const outcome = await rpc.call('/etcdserverpb.Maintenance/Status', {}, StatusRequest, StatusResponse);
    if (!('ok' in outcome)) throw new Error(outcome.message);
    return outcome.ok;
  }

  /** The member that leads, as these members agree; throws while they do not. */
  async leader(members: readonly MemberProcess[] = this.members): Promise<MemberProcess> {
    const views = await Promise.all(members.map((member) => this.status(member)));
    const leaders = new Set(views.map(({ leader }) => leader));
    const at = views.findIndex(({ header, leader }) => header?.member_id === leader);
    const member = members[at];
    if (leaders.size !== 1 || member === undefined) throw new Error('the members do not agree on a leader');
    return member;
  }

  async end(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.close({ drain: '1s' })));
    for (const rpc of this.rpcClients.values()) rpc.close();
    await this.cluster.remove();
  }
}
