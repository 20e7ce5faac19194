import { etcdserverpb, WireWriter } from '@conclave/protocol';
import { decodeRequest } from './decode.js';
import type { MethodTable } from './method.js';
import type { RequestParts } from './request-parts.js';
import { unary } from './unary.js';

/** The Cluster service. Its headers carry no revision. */
export function clusterMethods(parts: RequestParts): MethodTable {
  const memberList = unary((bytes, reply) => {
    const request = decodeRequest(etcdserverpb.MemberListRequest, bytes);
    const answer = (): void => {
      const writer = new WireWriter();
      for (const member of parts.machine.cluster.members) {
        writer.message(2, etcdserverpb.Member.encode(member).finish());
      }
      reply(undefined, parts.header.response(0, writer.take()));
    };
    if (!request.linearizable) return answer();
    parts.replica.linearizable((error) => (error === undefined ? answer() : reply(error, undefined)));
  });
  return new Map([['/etcdserverpb.Cluster/MemberList', memberList]]);
}
