import { etcdserverpb, ProtocolError, PutFields } from '@conclave/protocol';
import { CommandKind } from '../apply/command.js';
import { decodeRequest } from './decode.js';
import {
  isReadOnly,
  isSerializable,
  validateDeleteRange,
  validatePutFields,
  validateTxn,
} from './kv-validation.js';
import type { Method, MethodTable, Reply } from './method.js';
import { rangeMethod } from './range.js';
import { rangeStreamMethod } from './range-stream.js';
import type { RequestParts } from './request-parts.js';
import type { SpaceQuota } from './space-quota.js';
import { proposeAndReply, unary } from './unary.js';

const putFields = new PutFields();
const putDecoder = { decode: (bytes: Uint8Array) => putFields.read(bytes) };

/** The KV service (etcd v3, "KV"). What is proposed is the request as it came. */
export function kvMethods(parts: RequestParts, quota: SpaceQuota): MethodTable {
  const put = unary(
    (bytes, reply) => {
      const fields = decodeRequest(putDecoder, bytes);
      validatePutFields(fields);
      quota.admitPut(fields.keyLength + fields.valueLength);
      propose(parts, CommandKind.Put, bytes, reply);
    },
    { readsAtOnce: true },
  );
  const deleteRange = unary((bytes, reply) => {
    validateDeleteRange(decodeRequest(etcdserverpb.DeleteRangeRequest, bytes));
    propose(parts, CommandKind.DeleteRange, bytes, reply);
  });
  const txn = unary((bytes, reply) => {
    const request = decodeRequest(etcdserverpb.TxnRequest, bytes);
    validateTxn(request, parts.limits.maxTxnOps);
    if (isReadOnly(request)) return readTxn(parts, request, reply);
    quota.admitTxn(request);
    propose(parts, CommandKind.Txn, bytes, reply);
  });
  return new Map<string, Method>([
    ['/etcdserverpb.KV/Range', rangeMethod(parts)],
    ['/etcdserverpb.KV/RangeStream', rangeStreamMethod(parts)],
    ['/etcdserverpb.KV/Put', put],
    ['/etcdserverpb.KV/DeleteRange', deleteRange],
    ['/etcdserverpb.KV/Txn', txn],
    ['/etcdserverpb.KV/Compact', unary((bytes, reply) => compact(parts, bytes, reply))],
  ]);
}

/** @throws ProtocolError RequestTooLarge */
function propose(parts: RequestParts, kind: CommandKind, bytes: Uint8Array, reply: Reply): void {
  if (bytes.length > parts.limits.maxRequestBytes) throw ProtocolError.of('RequestTooLarge');
  proposeAndReply(parts, kind, bytes, reply);
}

function readTxn(parts: RequestParts, request: etcdserverpb.TxnRequest, reply: Reply): void {
  const answer = (error: ProtocolError | undefined): void => {
    if (error !== undefined) return reply(error, undefined);
    try {
      const { revision, body } = parts.machine.kv.readTxn(request);
      reply(undefined, parts.header.response(revision, body));
    } catch (failure) {
      if (!(failure instanceof ProtocolError)) throw failure;
      reply(failure, undefined);
    }
  };
  if (isSerializable(request)) answer(undefined);
  else parts.replica.linearizable(answer);
}

/** With `physical` the answer waits until the compacted history is gone from the file. */
function compact(parts: RequestParts, bytes: Uint8Array, reply: Reply): void {
  const request = decodeRequest(etcdserverpb.CompactionRequest, bytes);
  parts.replica.propose(CommandKind.Compact, bytes, (error, result) => {
    if (error !== undefined || result === undefined) return reply(error, undefined);
    const answer = (): void => reply(undefined, parts.header.response(result.revision, result.body));
    if (request.physical) parts.compactor.whenDone(answer);
    else answer();
  });
}
