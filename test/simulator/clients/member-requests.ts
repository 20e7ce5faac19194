import { etcdserverpb } from '@conclave/protocol';
import { type Request } from './invocation.js';

/** A request about the members. Its answer has no place among the revisions; what it did is seen in the log. */
function memberRequest(method: string, bytes: Uint8Array, label: string): Request {
  return {
    path: `/etcdserverpb.${method}`,
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
  return memberRequest('Cluster/MemberAdd', bytes, `add a ${isLearner ? 'learner' : 'voter'}`);
}

export function promoteRequest(ID: bigint): Request {
  const bytes = etcdserverpb.MemberPromoteRequest.encode({ ID }).finish();
  return memberRequest('Cluster/MemberPromote', bytes, `promote ${ID.toString(16)}`);
}

export function removeRequest(ID: bigint): Request {
  const bytes = etcdserverpb.MemberRemoveRequest.encode({ ID }).finish();
  return memberRequest('Cluster/MemberRemove', bytes, `remove ${ID.toString(16)}`);
}

export function moveLeaderRequest(targetID: bigint): Request {
  const bytes = etcdserverpb.MoveLeaderRequest.encode({ targetID }).finish();
  return memberRequest('Maintenance/MoveLeader', bytes, `move the leader to ${targetID.toString(16)}`);
}
