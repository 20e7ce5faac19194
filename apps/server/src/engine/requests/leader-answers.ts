import { Buffer } from 'node:buffer';
import { etcdserverpb, membershippb, ProtocolError, WireWriter } from '@conclave/protocol';
import type { RenewalDone } from '../replica/lease-renewal.js';
import type { Answerer } from '../replica/leader-link.js';
import { decodeMemberId } from '../replica/peer-message.js';
import type { QueryDone } from '../replica/queries.js';
import { asProtocolError, decodeRequest } from './decode.js';
import { addMember, promoteMember, removeMember, updateMember } from './membership.js';
import { changeMembers } from './members-change.js';
import { whenSettled } from './planned-hand-over.js';
import type { RequestParts } from './request-parts.js';

const noBody = new Uint8Array(0);

/** Answers what other members, and this one, ask the leader. */
export function leaderAnswers(parts: RequestParts): Answerer {
  return (method, payload, reply) => {
    try {
      switch (method) {
        case 'lease-keep-alive':
          return keepAlive(parts, payload, reply);
        case 'lease-time-to-live':
          return timeToLive(parts, payload, reply);
        case 'member-add': {
          const request = decodeRequest(etcdserverpb.MemberAddRequest, payload);
          return whenSettled(parts, reply, () => addMember(parts, request, reply));
        }
        case 'member-remove': {
          const request = decodeRequest(etcdserverpb.MemberRemoveRequest, payload);
          return whenSettled(parts, reply, () => removeMember(parts, request, reply));
        }
        case 'member-update':
          return updateMember(parts, decodeRequest(etcdserverpb.MemberUpdateRequest, payload), reply);
        case 'member-promote':
          return promoteMember(parts, decodeRequest(etcdserverpb.MemberPromoteRequest, payload), reply);
        case 'members-change': {
          const request = decodeRequest(membershippb.ChangeMembersRequest, payload);
          return whenSettled(parts, reply, () => changeMembers(parts, request, reply));
        }
        case 'member-state':
          parts.replica.sendState(decodeMemberId(payload));
          return reply(undefined, noBody);
      }
    } catch (error) {
      reply(asProtocolError(error), undefined);
    }
  };
}

/** Renews a lease, at the leader wherever it is. */
export function leaderKeepAlive(parts: RequestParts, id: bigint, done: RenewalDone): void {
  if (parts.replica.leads) {
    return parts.renewal.renew(id, (error, ttlSeconds) => {
      if (error?.reason === 'NotLeader') askKeepAlive(parts, id, done);
      else done(error, ttlSeconds);
    });
  }
  askKeepAlive(parts, id, done);
}

function askKeepAlive(parts: RequestParts, id: bigint, done: RenewalDone): void {
  const request = etcdserverpb.LeaseKeepAliveRequest.encode({ ID: id }).finish();
  parts.replica.link.ask('lease-keep-alive', request, (error, body) => {
    if (error !== undefined || body === undefined) return done(error, 0);
    done(undefined, Number(etcdserverpb.LeaseKeepAliveResponse.decode(body).TTL));
  });
}

function keepAlive(parts: RequestParts, payload: Uint8Array, reply: QueryDone): void {
  const { ID } = decodeRequest(etcdserverpb.LeaseKeepAliveRequest, payload);
  parts.renewal.renew(ID, (error, ttlSeconds) => {
    if (error !== undefined) return reply(error, undefined);
    reply(undefined, new WireWriter(32).bigint(2, ID).uint(3, ttlSeconds).take());
  });
}

/** On a confirmed read index, so that a former leader does not tell of clocks that count no more. */
function timeToLive(parts: RequestParts, payload: Uint8Array, reply: QueryDone): void {
  const request = decodeRequest(etcdserverpb.LeaseTimeToLiveRequest, payload);
  parts.replica.linearizable((error) => {
    if (error !== undefined) return reply(error, undefined);
    if (!parts.replica.leads) return reply(ProtocolError.of('NotLeader'), undefined);
    reply(undefined, timeToLiveBody(parts, request));
  });
}

/** The fields of a LeaseTimeToLiveResponse after its header. */
function timeToLiveBody(parts: RequestParts, request: etcdserverpb.LeaseTimeToLiveRequest): Uint8Array {
  const found = parts.lessor.timeToLive(request.ID, parts.clock.now());
  const writer = new WireWriter().bigint(2, request.ID);
  if (found === undefined) return writer.bigint(3, -1n).take();
  writer.bigint(3, BigInt(found.remainingSeconds)).uint(4, found.grantedTtlSeconds);
  if (request.keys) {
    for (const key of parts.lessor.keysOf(request.ID)) writer.message(5, Buffer.from(key, 'latin1'));
  }
  return writer.take();
}
