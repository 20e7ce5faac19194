import { etcdserverpb, membershippb } from '@conclave/protocol';
import { type Request } from './invocation.js';

/** A request about the members. Its answer has no place among the revisions; what it did is seen in the log. */
function memberRequest(path: string, bytes: Uint8Array, label: string): Request {
  return {
    path,
    bytes,
    label,
    command: undefined,
    isLocal: false,
    isOfLeader: false,
    expected: undefined,
    read: () => ({ revision: 0, text: '' }),
  };
}

export function addRequest(peerUrl: string, isLearner: boolean): Request {
  const bytes = etcdserverpb.MemberAddRequest.encode({ peerURLs: [peerUrl], isLearner }).finish();
  return memberRequest('/etcdserverpb.Cluster/MemberAdd', bytes, `add a ${isLearner ? 'learner' : 'voter'}`);
}

export function promoteRequest(ID: bigint): Request {
  const bytes = etcdserverpb.MemberPromoteRequest.encode({ ID }).finish();
  return memberRequest('/etcdserverpb.Cluster/MemberPromote', bytes, `promote ${ID.toString(16)}`);
}

export function removeRequest(ID: bigint): Request {
  const bytes = etcdserverpb.MemberRemoveRequest.encode({ ID }).finish();
  return memberRequest('/etcdserverpb.Cluster/MemberRemove', bytes, `remove ${ID.toString(16)}`);
}

export function moveLeaderRequest(targetID: bigint): Request {
  const bytes = etcdserverpb.MoveLeaderRequest.encode({ targetID }).finish();
  return memberRequest(
    '/etcdserverpb.Maintenance/MoveLeader',
    bytes,
    `move the leader to ${targetID.toString(16)}`,
  );
}

/** Several changes at once, through a joint configuration. */
export interface Changes {
  readonly add: readonly { readonly peerUrl: string; readonly isLearner: boolean }[];
  /** Learners that become voters. */
  readonly promote: readonly bigint[];
  readonly remove: readonly bigint[];
}

export function changesRequest({ add, promote, remove }: Changes): Request {
  const bytes = membershippb.ChangeMembersRequest.encode({
    add: add.map(({ peerUrl, isLearner }) => ({ peer_urls: [peerUrl], is_learner: isLearner })),
    promote: [...promote],
    remove: [...remove],
  }).finish();
  const hex = (ids: readonly bigint[]): string => ids.map((id) => id.toString(16)).join(' ');
  const label = `change members: ${add.length} more, promote ${hex(promote)}, remove ${hex(remove)}`;
  return memberRequest('/conclave.v1.Membership/ChangeMembers', bytes, label);
}
