import { ProtocolError } from '@conclave/protocol';
import { clusterMethods } from './cluster.js';
import { healthMethods } from './health.js';
import { kvMethods } from './kv.js';
import { leaseMethods } from './lease.js';
import { maintenanceMethods } from './maintenance.js';
import { type Method, type MethodTable, type RequestContext } from './method.js';
import type { RequestParts } from './request-parts.js';
import type { SpaceQuota } from './space-quota.js';
import { watchMethods } from './watch.js';

/** Every method that a member serves. What is not here is answered Unimplemented by the transport. */
export function createMethods(parts: RequestParts, quota: SpaceQuota): MethodTable {
  const methods = new Map<string, Method>([
    ...kvMethods(parts, quota),
    ...watchMethods(parts),
    ...leaseMethods(parts, quota),
    ...clusterMethods(parts),
    ...maintenanceMethods(parts),
    ...healthMethods(),
  ]);
  for (const [path, method] of methods) methods.set(path, heedingLeaderless(parts, method));
  return methods;
}

/** Callers that ask for a leader (metadata `hasleader`) are refused at once while none is known. */
function heedingLeaderless(parts: RequestParts, method: Method): Method {
  const isRefused = (context: RequestContext): boolean =>
    parts.replica.leader === 0n && context.requireLeader;
  if (method.kind === 'unary') {
    return {
      kind: 'unary',
      call(request, context, reply) {
        if (isRefused(context)) reply(ProtocolError.of('NoLeader'), undefined);
        else method.call(request, context, reply);
      },
    };
  }
  return {
    kind: 'stream',
    open(context, responses) {
      if (!isRefused(context)) return method.open(context, responses);
      parts.clock.defer(() => responses.end(ProtocolError.of('NoLeader')));
      return { message() {}, halfClose() {}, cancel() {} };
    },
  };
}
