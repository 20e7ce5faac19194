import { etcdserverpb } from '@conclave/protocol';
import { peerPaths } from './introduction.js';
import { openPeerChannel, type PeerContext } from './peer-context.js';

/** What a member says of its cluster. */
export interface ClusterView {
  readonly clusterId: bigint;
  readonly members: readonly etcdserverpb.Member[];
}

/**
 * Asks the member at a peer URL who belongs to its cluster. It answers from its own state, without a quorum: a cluster
 * of one that has just got a second member has none until that member runs.
 *
 * @throws GrpcError when nobody answers there in time, or who answers is no member yet.
 */
export async function askMembers(
  context: Pick<PeerContext, 'runtime' | 'limits' | 'tls' | 'onDefect'>,
  url: string,
  timeoutMs: number,
): Promise<ClusterView> {
  const channel = openPeerChannel(context, url);
  try {
    const { message } = await channel.unary(peerPaths.members, new Uint8Array(0), { timeoutMs });
    const { header, members } = etcdserverpb.MemberListResponse.decode(message);
    return { clusterId: header?.cluster_id ?? 0n, members };
  } finally {
    void channel.close();
  }
}

/** The members as etcd's peer port tells them under GET /members: a list of JSON objects with ids as plain numbers. */
export function membersAsJson(members: readonly etcdserverpb.Member[]): string {
  const texts = members.map(({ ID, peerURLs, name, clientURLs, isLearner }) => {
    const rest = JSON.stringify({ peerURLs, name, clientURLs, ...(isLearner ? { isLearner } : {}) });
    return `{"id":${ID},${rest.slice(1)}`;
  });
  return `[${texts.join(',')}]\n`;
}
