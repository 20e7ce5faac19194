import { WireWriter } from '@conclave/protocol';
import { emptyBody } from './apply-result.js';

/** A stored pair, as far as answers need it: the exact bytes of its mvccpb.KeyValue. */
export interface EncodedKeyValue {
  readonly bytes: Uint8Array;
}

/** One answer within a transaction: its number in ResponseOp's oneof, the revision for its header, and its fields. */
export interface OperationResponse {
  readonly operation: ResponseOperation;
  /** 0 leaves the header empty, as in the answer of a nested transaction. */
  readonly revision: number;
  readonly body: Uint8Array;
}

/** Field numbers of etcdserverpb.ResponseOp. */
export enum ResponseOperation {
  Range = 1,
  Put = 2,
  DeleteRange = 3,
  Txn = 4,
}

/** What a range gave, as far as its answer needs it. */
export interface EncodedRange {
  /** The field `kvs`, all of it, already encoded. */
  readonly encodedKvs: Uint8Array;
  readonly more: boolean;
  readonly count: number;
}

/** The fields of a RangeResponse after its header. */
export function rangeBody({ encodedKvs, more, count }: EncodedRange): Uint8Array {
  return new WireWriter(encodedKvs.length + 32).raw(encodedKvs).bool(3, more).uint(4, count).take();
}

/** The fields of a PutResponse after its header. */
export function putBody(previous: EncodedKeyValue | undefined): Uint8Array {
  return previous === undefined
    ? emptyBody
    : new WireWriter(previous.bytes.length + 8).message(2, previous.bytes).take();
}

/** The fields of a DeleteRangeResponse after its header. */
export function deleteRangeBody(deleted: number, previous: readonly EncodedKeyValue[]): Uint8Array {
  const writer = new WireWriter().uint(2, deleted);
  for (const kv of previous) writer.message(3, kv.bytes);
  return writer.take();
}

/** The fields of a TxnResponse after its header. */
export function txnBody(succeeded: boolean, responses: readonly OperationResponse[]): Uint8Array {
  const writer = new WireWriter().bool(2, succeeded);
  for (const response of responses) {
    const header = new WireWriter(16).uint(3, response.revision).take();
    const message = new WireWriter(response.body.length + 24).message(1, header).raw(response.body).take();
    writer.message(3, new WireWriter(message.length + 8).message(response.operation, message).take());
  }
  return writer.take();
}
