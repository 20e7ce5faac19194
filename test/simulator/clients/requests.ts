import { etcdserverpb } from '@conclave/protocol';
import { CommandKind, responseText } from '../checks/commands.js';
import { type Answer } from '../model/model.js';
import { readRange, refusal } from '../model/reading.js';
import { rangeResponseText, txnResponseText } from '../model/texts.js';
import { type Request } from './invocation.js';

type Header = { readonly revision: bigint } | undefined;

const revisionOf = (header: Header): number => Number(header?.revision ?? -1n);

/** A request that goes through the log as it is. */
function commandRequest(path: string, kind: CommandKind, payload: Uint8Array, label: string): Request {
  return {
    path,
    bytes: payload,
    label,
    command: { kind, payload },
    isLocal: false,
    isOfLeader: false,
    expected: undefined,
    read(response) {
      // Every response of a command has its header in the same field.
      const { header } = etcdserverpb.PutResponse.decode(headerOnly(response));
      return { revision: revisionOf(header), text: responseText(kind, response) };
    },
  };
}

/** The header is field 1 and comes first. */
function headerOnly(response: Uint8Array): Uint8Array {
  return response.subarray(0, 2 + response[1]);
}

export function putRequest(request: etcdserverpb.PutRequest): Request {
  const payload = etcdserverpb.PutRequest.encode(request).finish();
  const value = request.value.toString('latin1').slice(0, 12);
  const label = `put ${request.key.toString('latin1')}=${value}${request.lease === 0n ? '' : ` lease ${request.lease}`}`;
  return commandRequest('/etcdserverpb.KV/Put', CommandKind.Put, payload, label);
}

export function deleteRequest(request: etcdserverpb.DeleteRangeRequest): Request {
  const payload = etcdserverpb.DeleteRangeRequest.encode(request).finish();
  const label = `delete ${rangeLabel(request.key, request.range_end)}`;
  return commandRequest('/etcdserverpb.KV/DeleteRange', CommandKind.DeleteRange, payload, label);
}

export function txnRequest(request: etcdserverpb.TxnRequest): Request {
  const payload = etcdserverpb.TxnRequest.encode(request).finish();
  return commandRequest('/etcdserverpb.KV/Txn', CommandKind.Txn, payload, 'txn');
}

export function compactRequest(revision: number, physical: boolean): Request {
  const payload = etcdserverpb.CompactionRequest.encode({ revision: BigInt(revision), physical }).finish();
  const label = `compact ${revision}${physical ? ' physically' : ''}`;
  return commandRequest('/etcdserverpb.KV/Compact', CommandKind.Compact, payload, label);
}

export function grantRequest(id: bigint, ttl: bigint): Request {
  const payload = etcdserverpb.LeaseGrantRequest.encode({ ID: id, TTL: ttl }).finish();
  return commandRequest(
    '/etcdserverpb.Lease/LeaseGrant',
    CommandKind.LeaseGrant,
    payload,
    `grant ${id} for ${ttl} s`,
  );
}

export function revokeRequest(id: bigint): Request {
  const payload = etcdserverpb.LeaseRevokeRequest.encode({ ID: id }).finish();
  return commandRequest('/etcdserverpb.Lease/LeaseRevoke', CommandKind.LeaseRevoke, payload, `revoke ${id}`);
}

/** Takes back what a full disk raised. */
export function disarmRequest(member: etcdserverpb.AlarmMember): Request {
  const { DEACTIVATE } = etcdserverpb.AlarmRequest_AlarmAction;
  const { memberID, alarm } = member;
  const bytes = etcdserverpb.AlarmRequest.encode({ action: DEACTIVATE, memberID, alarm }).finish();
  return {
    ...commandRequest('/etcdserverpb.Maintenance/Alarm', CommandKind.Alarm, bytes, 'disarm the alarm'),
  };
}

export function rangeRequest(request: etcdserverpb.RangeRequest): Request {
  const at = request.revision > 0n ? ` at ${request.revision}` : '';
  return {
    path: '/etcdserverpb.KV/Range',
    bytes: etcdserverpb.RangeRequest.encode(request).finish(),
    label: `range ${rangeLabel(request.key, request.range_end)}${at}`,
    command: undefined,
    isLocal: request.serializable,
    isOfLeader: false,
    expected(model, horizon): Answer {
      const error = refusal(request.revision, horizon);
      const text = error === undefined ? readRange(model.history, request, horizon.current) : '';
      return { error, revision: horizon.current, text };
    },
    read(response) {
      const decoded = etcdserverpb.RangeResponse.decode(response);
      return { revision: revisionOf(decoded.header), text: rangeResponseText(decoded) };
    },
  };
}

export function readTxnRequest(request: etcdserverpb.TxnRequest): Request {
  return {
    path: '/etcdserverpb.KV/Txn',
    bytes: etcdserverpb.TxnRequest.encode(request).finish(),
    label: 'read-only txn',
    command: undefined,
    isLocal: [...request.success, ...request.failure].every(
      ({ request: op }) => op?.$case === 'request_range' && op.value.serializable,
    ),
    isOfLeader: false,
    expected: (model, horizon) => model.readTxn(request, horizon),
    read(response) {
      const decoded = etcdserverpb.TxnResponse.decode(response);
      return { revision: revisionOf(decoded.header), text: txnResponseText(decoded) };
    },
  };
}

/** Who was alive behind which entry. */
export interface LeaseLives {
  isAlive(id: bigint, index: number): boolean;
  readonly ids: Iterable<bigint>;
  ttlOf(id: bigint): bigint;
}

export function timeToLiveRequest(id: bigint, lives: LeaseLives): Request {
  return {
    path: '/etcdserverpb.Lease/LeaseTimeToLive',
    bytes: etcdserverpb.LeaseTimeToLiveRequest.encode({ ID: id, keys: true }).finish(),
    label: `time to live of lease ${id}`,
    command: undefined,
    isLocal: false,
    isOfLeader: true,
    expected(model, { current }, index): Answer {
      const isAlive = lives.isAlive(id, index);
      const keys = isAlive ? model.keysOf(id, current).join() : '';
      return {
        error: undefined,
        revision: current,
        text: `granted ${isAlive ? lives.ttlOf(id) : 0n} keys ${keys}`,
      };
    },
    read(response) {
      const { header, TTL, grantedTTL, keys } = etcdserverpb.LeaseTimeToLiveResponse.decode(response);
      const names = keys.map((key) => key.toString('latin1')).join();
      const isSound = grantedTTL === 0n ? TTL === -1n : TTL >= 0n && TTL <= grantedTTL + 1n;
      const granted = isSound ? `granted ${grantedTTL}` : `granted ${grantedTTL} with ${TTL} left`;
      return { revision: revisionOf(header), text: `${granted} keys ${names}` };
    },
  };
}

export function leasesRequest(lives: LeaseLives): Request {
  return {
    path: '/etcdserverpb.Lease/LeaseLeases',
    bytes: new Uint8Array(0),
    label: 'list of leases',
    command: undefined,
    isLocal: false,
    isOfLeader: false,
    expected(_model, { current }, index): Answer {
      const ids = [...lives.ids].filter((id) => lives.isAlive(id, index));
      return { error: undefined, revision: current, text: idsText(ids) };
    },
    read(response) {
      const { header, leases } = etcdserverpb.LeaseLeasesResponse.decode(response);
      return { revision: revisionOf(header), text: idsText(leases.map(({ ID }) => ID)) };
    },
  };
}

export function statusRequest(): Request {
  return {
    path: '/etcdserverpb.Maintenance/Status',
    bytes: new Uint8Array(0),
    label: 'status',
    command: undefined,
    isLocal: true,
    isOfLeader: false,
    expected: (_model, { current }) => ({ error: undefined, revision: current, text: 'status' }),
    read(response) {
      const { header } = etcdserverpb.StatusResponse.decode(response);
      return { revision: revisionOf(header), text: 'status' };
    },
  };
}

/** The hash of a member's history; revision 0 is its newest. */
export function hashRequest(revision: number): Request {
  return {
    path: '/etcdserverpb.Maintenance/HashKV',
    bytes: etcdserverpb.HashKVRequest.encode({ revision: BigInt(revision) }).finish(),
    label: `hash at ${revision}`,
    command: undefined,
    isLocal: true,
    isOfLeader: false,
    expected: undefined,
    read(response) {
      const { header, hash } = etcdserverpb.HashKVResponse.decode(response);
      return { revision: revisionOf(header), text: String(hash) };
    },
  };
}

function idsText(ids: readonly bigint[]): string {
  return ids.map(String).sort().join();
}

export function rangeLabel(key: Buffer, end: Buffer): string {
  const from = key.toString('latin1').replace('\0', '\\0');
  if (end.length === 0) return from;
  return `[${from}, ${end.length === 1 && end[0] === 0 ? '…' : end.toString('latin1')})`;
}
