import { type etcdserverpb, type mvccpb } from '@conclave/protocol';
import { type Version } from './history.js';

/** Answers as texts: what the model expects and what a member said are compared as the same kind of line. */

export function versionText(row: Version): string {
  return `${row.key}=${row.value}@${row.create}/${row.mod}/${row.version}/${row.lease}`;
}

export function keyValueText(kv: mvccpb.KeyValue): string {
  const { key, value, create_revision, mod_revision, version, lease } = kv;
  const name = key.toString('latin1');
  return `${name}=${value.toString('latin1')}@${create_revision}/${mod_revision}/${version}/${lease}`;
}

export function rangeText(rows: readonly string[], more: boolean, count: number | bigint): string {
  return `range [${rows.join(' ')}]${more ? ' more' : ''} of ${count}`;
}

export function putText(previous: string | undefined): string {
  return previous === undefined ? 'put' : `put over ${previous}`;
}

export function deleteText(deleted: number | bigint, previous: readonly string[]): string {
  return `deleted ${deleted} [${previous.join(' ')}]`;
}

export function txnText(succeeded: boolean, responses: readonly string[]): string {
  return `txn ${succeeded} {${responses.join('; ')}}`;
}

function optional(kv: mvccpb.KeyValue | undefined): string | undefined {
  return kv === undefined ? undefined : keyValueText(kv);
}

export function rangeResponseText(response: etcdserverpb.RangeResponse): string {
  return rangeText(response.kvs.map(keyValueText), response.more, response.count);
}

export function putResponseText(response: etcdserverpb.PutResponse): string {
  return putText(optional(response.prev_kv));
}

export function deleteResponseText(response: etcdserverpb.DeleteRangeResponse): string {
  return deleteText(response.deleted, response.prev_kvs.map(keyValueText));
}

export function txnResponseText(response: etcdserverpb.TxnResponse): string {
  return txnText(response.succeeded, response.responses.map(operationText));
}

function operationText({ response }: etcdserverpb.ResponseOp): string {
  switch (response?.$case) {
    case 'response_range':
      return rangeResponseText(response.value);
    case 'response_put':
      return putResponseText(response.value);
    case 'response_delete_range':
      return deleteResponseText(response.value);
    case 'response_txn':
      return txnResponseText(response.value);
    default:
      return 'nothing';
  }
}
