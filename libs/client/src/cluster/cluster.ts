import { etcdserverpb as pb } from '@conclave/protocol';
import { type Observable, of } from 'rxjs';
import { abortable } from '../cancellation.js';
import { type Caller } from '../connection/caller.js';
import { type Connection } from '../connection/connection.js';
import { parseEndpoint } from '../connection/endpoint.js';
import { method } from '../connection/method.js';
import { asConclaveError, toConclaveError } from '../error-mapping.js';
import { UnavailableError } from '../errors.js';
import { type CallOptions } from '../kv-store.js';
import { type Revision } from '../kv/entry.js';
import { TransportError } from '../transport.js';

export interface MemberInfo {
  readonly id: bigint;
  /** Empty until the member was started for the first time. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  /** Where it says that clients reach it; empty until it was started for the first time. */
  readonly clientUrls: readonly string[];
  /** Has no vote and serves serializable reads only. */
  readonly isLearner: boolean;
}

export interface MemberStatus {
  readonly endpoint: string;
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** 0n: it knows no leader now. */
  readonly leaderId: bigint;
  readonly version: string;
  readonly revision: Revision;
  readonly raftTerm: bigint;
  readonly raftIndex: bigint;
  readonly appliedIndex: bigint;
  /** Of its database on the disk. */
  readonly databaseBytes: bigint;
  readonly isLearner: boolean;
  /** What it complains about, such as alarms. */
  readonly errors: readonly string[];
}

/** The members behind the endpoints. `client.cluster` */
export interface ClusterApi {
  /**
   * All members, learners included. `linearizable` (default true): as of now, by the leader; etcd before 3.5 always answers
   * with what the asked member knows.
   */
  members(options?: CallOptions & { readonly linearizable?: boolean }): Promise<readonly MemberInfo[]>;
  /**
   * Of one member, asked directly on a connection of its own, whether or not it is in use.
   *
   * @throws InvalidArgumentError when the endpoint is no address; TlsError, UnavailableError, TimeoutError (rejects).
   */
  status(endpoint: string, options?: CallOptions): Promise<MemberStatus>;
  /** The endpoints in use now, and each change of them. Completes when the client is closed. */
  readonly endpoints$: Observable<readonly string[]>;
}

const memberList = method(
  '/etcdserverpb.Cluster/MemberList',
  'read',
  pb.MemberListRequest,
  pb.MemberListResponse,
);

/** The cluster of remote members. */
export class RemoteCluster implements ClusterApi {
  readonly endpoints$: Observable<readonly string[]>;

  constructor(
    private readonly connection: Connection,
    private readonly caller: Caller,
    private readonly requestTimeoutMs: number,
  ) {
    this.endpoints$ = connection.endpoints$;
  }

  async members(
    options: CallOptions & { readonly linearizable?: boolean } = {},
  ): Promise<readonly MemberInfo[]> {
    const request = { linearizable: options.linearizable ?? true };
    const answer = await this.caller.call(memberList, request, options, 'ignored');
    return (answer?.members ?? []).map((member) => ({
      id: member.ID,
      name: member.name,
      peerUrls: member.peerURLs,
      clientUrls: member.clientURLs,
      isLearner: member.isLearner,
    }));
  }

  async status(endpoint: string, options: CallOptions = {}): Promise<MemberStatus> {
    parseEndpoint(endpoint);
    const timeoutMs = options.timeoutMs ?? this.requestTimeoutMs;
    try {
      return statusOf(
        endpoint,
        await abortable(this.connection.dialer.ask(endpoint, timeoutMs), options.signal),
      );
    } catch (error) {
      throw error instanceof TransportError ? toConclaveError(error, endpoint) : asConclaveError(error);
    }
  }
}

function statusOf(endpoint: string, status: pb.StatusResponse): MemberStatus {
  return {
    endpoint,
    clusterId: status.header?.cluster_id ?? 0n,
    memberId: status.header?.member_id ?? 0n,
    leaderId: status.leader,
    version: status.version,
    revision: status.header?.revision ?? 0n,
    raftTerm: status.raftTerm,
    raftIndex: status.raftIndex,
    appliedIndex: status.raftAppliedIndex,
    databaseBytes: status.dbSize,
    isLearner: status.isLearner,
    errors: status.errors,
  };
}

/** Of a client whose store is no cluster that could be asked, such as the one of tests. */
export const noCluster: ClusterApi = {
  members: () => Promise.reject(new UnavailableError('this client has no members to ask')),
  status: () => Promise.reject(new UnavailableError('this client has no members to ask')),
  endpoints$: of([]),
};
