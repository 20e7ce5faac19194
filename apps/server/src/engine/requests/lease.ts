import { etcdserverpb, ProtocolError, WireWriter } from '@conclave/protocol';
import { CommandKind } from '../apply/command.js';
import { decodeRequest } from './decode.js';
import type { Method, MethodTable, Reply } from './method.js';
import { keepAliveMethod } from './lease-keep-alive.js';
import type { RequestParts } from './request-parts.js';
import type { SpaceQuota } from './space-quota.js';
import { proposeAndReply, unary } from './unary.js';

/** The longest TTL that a lease may ask for, in seconds. */
const maxTtlSeconds = 9_000_000_000n;

/** The Lease service (etcd v3, "Lease"). */
export function leaseMethods(parts: RequestParts, quota: SpaceQuota): MethodTable {
  const grant = unary((bytes, reply) => {
    const request = decodeRequest(etcdserverpb.LeaseGrantRequest, bytes);
    quota.admitLease();
    proposeAndReply(parts, CommandKind.LeaseGrant, normalisedGrant(parts, request), reply);
  });
  const revoke = unary((bytes, reply) => {
    decodeRequest(etcdserverpb.LeaseRevokeRequest, bytes);
    proposeAndReply(parts, CommandKind.LeaseRevoke, bytes, reply);
  });
  const timeToLive = unary((bytes, reply) => {
    decodeRequest(etcdserverpb.LeaseTimeToLiveRequest, bytes);
    askTimeToLive(parts, Uint8Array.from(bytes), reply);
  });
  const leases = unary((_bytes, reply) => linearizably(parts, reply, () => leasesBody(parts)));
  return new Map<string, Method>([
    ['/etcdserverpb.Lease/LeaseGrant', grant],
    ['/etcdserverpb.Lease/LeaseRevoke', revoke],
    ['/etcdserverpb.Lease/LeaseTimeToLive', timeToLive],
    ['/etcdserverpb.Lease/LeaseLeases', leases],
    ['/etcdserverpb.Lease/LeaseKeepAlive', keepAliveMethod(parts)],
  ]);
}

/**
 * Asks the leader, whose clock counts. The header's revision is this member's own, at a time not before the question, so
 * that it does not go back behind what the caller has seen: one that does not lead brings itself up to date meanwhile.
 */
function askTimeToLive(parts: RequestParts, payload: Uint8Array, reply: Reply): void {
  const { replica, header, store } = parts;
  let waitsFor = 2;
  let answer: Uint8Array | undefined;
  const ended = (error: ProtocolError | undefined): void => {
    if (waitsFor === 0) return;
    waitsFor = error === undefined ? waitsFor - 1 : 0;
    if (error !== undefined) return reply(error, undefined);
    if (waitsFor === 0 && answer !== undefined)
      reply(undefined, header.response(store.currentRevision, answer));
  };
  // A leader answers on a confirmed read index of its own.
  if (replica.leads) waitsFor = 1;
  else replica.linearizable(ended);
  replica.link.ask('lease-time-to-live', payload, (error, body) => {
    answer = body;
    ended(error);
  });
}

/**
 * What is proposed holds the TTL and the id that every member will use: a TTL below the minimum is raised to it, and id
 * 0 becomes a positive one that is free.
 *
 * @throws ProtocolError LeaseTTLTooLarge
 */
function normalisedGrant(parts: RequestParts, request: etcdserverpb.LeaseGrantRequest): Uint8Array {
  if (request.TTL > maxTtlSeconds) throw ProtocolError.of('LeaseTTLTooLarge');
  const minimum = BigInt(parts.limits.minLeaseTtlSeconds);
  const TTL = request.TTL < minimum ? minimum : request.TTL;
  let ID = request.ID;
  while (ID === 0n || (request.ID === 0n && parts.lessor.has(ID))) ID = parts.random.uint64() >> 1n;
  return etcdserverpb.LeaseGrantRequest.encode({ TTL, ID }).finish();
}

function linearizably(parts: RequestParts, reply: Reply, body: () => Uint8Array): void {
  parts.replica.linearizable((error) => {
    if (error !== undefined) return reply(error, undefined);
    reply(undefined, parts.header.response(parts.store.currentRevision, body()));
  });
}

function leasesBody(parts: RequestParts): Uint8Array {
  const writer = new WireWriter();
  for (const id of parts.lessor.leases()) writer.message(2, new WireWriter(16).bigint(1, id).take());
  return writer.take();
}
