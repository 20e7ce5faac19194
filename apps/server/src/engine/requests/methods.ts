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
  for (const [path, method] of methods) methods.set(path, guarded(parts, path, method));
  return methods;
}

/**
 * What a learner serves: its own state, as far as it goes. Reads that must be linearizable are refused further in.
 * Watches are our addition to what etcd's learners serve.
 */
const learnerMethods = new Set([
  '/etcdserverpb.KV/Range',
  '/etcdserverpb.KV/RangeStream',
  '/etcdserverpb.Watch/Watch',
  '/etcdserverpb.Maintenance/Snapshot',
  '/etcdserverpb.Maintenance/Status',
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/Watch',
]);

/** What a member serves even while its state is in doubt, so that operators see and end that. */
const alwaysServed = new Set([
  '/etcdserverpb.Maintenance/Alarm',
  '/etcdserverpb.Maintenance/Status',
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/Watch',
]);

/**
 * Callers that ask for a leader (metadata `hasleader`) are refused at once while none is known, and all callers are on a
 * learner that does not serve the method; all are refused while this member's state is in doubt.
 */
function guarded(parts: RequestParts, path: string, method: Method): Method {
  const { replica } = parts;
  const isForLearners = learnerMethods.has(path);
  const isAlways = alwaysServed.has(path);
  const refusal = (context: RequestContext): ProtocolError | undefined => {
    if (replica.refusal !== undefined && !isAlways) return replica.refusal;
    if (replica.isLearner && !isForLearners) return ProtocolError.of('NotSupportedForLearner');
    return replica.leader === 0n && context.requireLeader ? ProtocolError.of('NoLeader') : undefined;
  };
  if (method.kind === 'unary') {
    return {
      ...method,
      call(request, context, reply) {
        const error = refusal(context);
        if (error === undefined) method.call(request, context, reply);
        else reply(error, undefined);
      },
    };
  }
  return {
    kind: 'stream',
    open(context, responses) {
      const error = refusal(context);
      if (error === undefined) {
        if (context.requireLeader) return parts.leaderless.guard(method, context, responses);
        return method.open(context, responses);
      }
      parts.clock.defer(() => responses.end(error));
      return { message() {}, halfClose() {}, cancel() {} };
    },
  };
}
