import { etcdserverpb } from '@conclave/protocol';
import type { QueryMethod } from '../replica/peer-message.js';
import { decodeRequest } from './decode.js';
import type { Method, MethodTable, UnaryMethod } from './method.js';
import { checkChanges } from './members-change.js';
import type { RequestParts } from './request-parts.js';
import { unary } from './unary.js';

/** The Cluster service, and our own for several changes at once. Their headers carry no revision. The leader decides on changes, whichever member was asked. */
export function clusterMethods(parts: RequestParts): MethodTable {
  const memberList = unary((bytes, reply) => {
    const request = decodeRequest(etcdserverpb.MemberListRequest, bytes);
    const answer = (): void =>
      reply(undefined, parts.header.response(0, parts.machine.membership.listBody(2)));
    if (!request.linearizable) return answer();
    parts.replica.linearizable((error) => (error === undefined ? answer() : reply(error, undefined)));
  });
  return new Map<string, Method>([
    ['/etcdserverpb.Cluster/MemberList', memberList],
    ['/etcdserverpb.Cluster/MemberAdd', changeMethod(parts, 'member-add')],
    ['/etcdserverpb.Cluster/MemberRemove', changeMethod(parts, 'member-remove')],
    ['/etcdserverpb.Cluster/MemberUpdate', changeMethod(parts, 'member-update')],
    ['/etcdserverpb.Cluster/MemberPromote', changeMethod(parts, 'member-promote')],
    ['/conclave.v1.Membership/ChangeMembers', changeMethod(parts, 'members-change', checkChanges)],
  ]);
}

function changeMethod(
  parts: RequestParts,
  method: QueryMethod,
  check: (bytes: Uint8Array) => void = () => undefined,
): UnaryMethod {
  return unary((bytes, reply) => {
    check(bytes);
    // The request is valid during this call only, and may have to wait for a leader.
    parts.replica.link.ask(method, Uint8Array.from(bytes), (error, body) => {
      if (error !== undefined || body === undefined) reply(error, undefined);
      else reply(undefined, parts.header.response(0, body));
    });
  });
}
