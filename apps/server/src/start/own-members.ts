import { etcdserverpb } from '@conclave/protocol';
import { type Engine } from '../engine/engine.js';
import { type ClusterView } from '../peer/member-list.js';

const memberList = '/etcdserverpb.Cluster/MemberList';

/**
 * The members as this one knows them, encoded as the answer to MemberList; undefined while it knows of none. Needs no
 * quorum, so that a member can join a cluster that has none without it.
 */
export function listMembers(engine: Pick<Engine, 'methods'>): Promise<Uint8Array | undefined> {
  const method = engine.methods.get(memberList);
  if (method?.kind !== 'unary') return Promise.resolve(undefined);
  const context = { token: undefined, requireLeader: false, onCancel: undefined };
  return new Promise((resolve) => {
    method.call(new Uint8Array(0), context, (error, response) => {
      const isKnown = error === undefined && response !== undefined && decode(response).members.length > 0;
      resolve(isKnown ? response : undefined);
    });
  });
}

export async function viewMembers(engine: Pick<Engine, 'methods'>): Promise<ClusterView | undefined> {
  const response = await listMembers(engine);
  if (response === undefined) return undefined;
  const { header, members } = decode(response);
  return { clusterId: header?.cluster_id ?? 0n, members };
}

function decode(response: Uint8Array): etcdserverpb.MemberListResponse {
  return etcdserverpb.MemberListResponse.decode(response);
}
