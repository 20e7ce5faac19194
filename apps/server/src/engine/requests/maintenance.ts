import { etcdserverpb, ProtocolError, WireWriter } from '@conclave/protocol';
import { CommandKind } from '../apply/command.js';
import { decodeRequest } from './decode.js';
import { defragmentMethod } from './defragment.js';
import { hashKvMethod, hashMethod } from './hash.js';
import type { Method, MethodTable, Reply } from './method.js';
import type { RequestParts } from './request-parts.js';
import { snapshotMethod } from './snapshot.js';
import { proposeAndReply, unary } from './unary.js';
import { serverVersion, storageVersion } from './version.js';

/** How long a transfer of leadership may take; it is tried again when the core gives up after an election timeout. */
const transferWithinMs = 5_000;

/** The Maintenance service; Downgrade is not part of it. */
export function maintenanceMethods(parts: RequestParts): MethodTable {
  const alarm = unary((bytes, reply) => {
    const request = decodeRequest(etcdserverpb.AlarmRequest, bytes);
    if (request.action === etcdserverpb.AlarmRequest_AlarmAction.GET) {
      return reply(
        undefined,
        parts.header.response(parts.store.currentRevision, alarmsBody(parts, request.alarm)),
      );
    }
    proposeAndReply(parts, CommandKind.Alarm, bytes, reply);
  });
  const status = unary((_bytes, reply) => {
    reply(undefined, parts.header.response(parts.store.currentRevision, statusBody(parts)));
  });
  return new Map<string, Method>([
    ['/etcdserverpb.Maintenance/Alarm', alarm],
    ['/etcdserverpb.Maintenance/Status', status],
    ['/etcdserverpb.Maintenance/Defragment', defragmentMethod(parts)],
    ['/etcdserverpb.Maintenance/Hash', hashMethod(parts)],
    ['/etcdserverpb.Maintenance/HashKV', hashKvMethod(parts)],
    ['/etcdserverpb.Maintenance/Snapshot', snapshotMethod(parts)],
    ['/etcdserverpb.Maintenance/MoveLeader', unary((bytes, reply) => moveLeader(parts, bytes, reply))],
  ]);
}

/** The answer has no header, as etcd's. @throws ProtocolError NotLeader, BadLeaderTransferee */
function moveLeader(parts: RequestParts, bytes: Uint8Array, reply: Reply): void {
  const { targetID } = decodeRequest(etcdserverpb.MoveLeaderRequest, bytes);
  const { replica, transfer } = parts;
  if (!replica.leads) throw ProtocolError.of('NotLeader');
  if (!transfer.isVoter(targetID)) throw ProtocolError.of('BadLeaderTransferee');
  transfer.transfer(targetID, transferWithinMs, (isDone) => {
    if (isDone) reply(undefined, new Uint8Array(0));
    else reply(ProtocolError.of('Timeout'), undefined);
  });
}

/** Alarms of one kind; NONE asks for all. */
function alarmsBody(parts: RequestParts, kind: etcdserverpb.AlarmType): Uint8Array {
  const writer = new WireWriter();
  for (const { memberId: memberID, alarm } of parts.machine.cluster.alarms) {
    if (kind !== etcdserverpb.AlarmType.NONE && kind !== alarm) continue;
    writer.message(2, etcdserverpb.AlarmMember.encode({ memberID, alarm }).finish());
  }
  return writer.take();
}

/** Everything of a StatusResponse after its header. Local knowledge only: it never needs a quorum. */
function statusBody(parts: RequestParts): Uint8Array {
  const { raft, errors } = { raft: parts.replica.status, errors: statusErrors(parts) };
  const { fileBytes, usedBytes } = parts.backend.stats;
  const writer = new WireWriter()
    .string(2, serverVersion)
    .uint(3, fileBytes)
    .bigint(4, raft.leader)
    .uint(5, raft.commit)
    .uint(6, raft.term)
    .uint(7, parts.backend.applied.index);
  for (const error of errors) writer.string(8, error);
  return writer
    .uint(9, usedBytes)
    .bool(10, parts.replica.isLearner)
    .string(11, storageVersion)
    .uint(12, Math.max(0, parts.limits.quotaBackendBytes))
    .take();
}

function statusErrors(parts: RequestParts): string[] {
  const errors = parts.machine.cluster.alarms.map(
    ({ memberId, alarm }) => `memberID:${memberId} alarm:${etcdserverpb.AlarmType[alarm]} `,
  );
  if (parts.replica.leader === 0n) errors.unshift(ProtocolError.of('NoLeader').message);
  return errors;
}
