import { type etcdserverpb as pb } from '@conclave/protocol';
import { ConclaveError, InvalidArgumentError } from '../errors.js';
import { type KeyNamespace } from '../key-range.js';
import { type CallOptions, type KvStore } from '../kv-store.js';
import { compareMessage, operationMessage } from './encode.js';
import { type Entry, type Revision, toEntry, toEntryOrNull } from './entry.js';
import { type Comparison, type Operation } from './operations.js';

/** The answer to one operation of a transaction, in the place of the operation. */
export type OperationResult =
  | {
      readonly kind: 'range';
      readonly entries: readonly Entry[];
      readonly more: boolean;
      readonly count: bigint;
    }
  | { readonly kind: 'put'; readonly previous: Entry | null }
  | { readonly kind: 'delete'; readonly deleted: bigint; readonly previous: readonly Entry[] }
  | { readonly kind: 'txn'; readonly succeeded: boolean; readonly results: readonly OperationResult[] };

export interface TxnResult {
  /** True: all conditions held and the operations of `do` ran. False: those of `else` ran. */
  readonly succeeded: boolean;
  readonly revision: Revision;
  /** The cluster that answered. */
  readonly clusterId: bigint;
  readonly results: readonly OperationResult[];
}

/**
 * A transaction: if all conditions hold, do these operations, else those; all at one revision, or nothing.
 *
 * The branch is called `do`, not `then`: an object with a method `then` is taken for a promise by `await`.
 */
export class TxnBuilder {
  private readonly conditions: pb.Compare[] = [];
  private readonly success: pb.RequestOp[] = [];
  private readonly failure: pb.RequestOp[] = [];

  constructor(
    private readonly store: KvStore,
    private readonly names: KeyNamespace,
  ) {}

  /** Adds conditions; all of all calls must hold. */
  if(...comparisons: readonly Comparison[]): this {
    for (const comparison of comparisons) this.conditions.push(compareMessage(this.names, comparison));
    return this;
  }

  /** Adds operations that run when the conditions hold, in this order. */
  do(...operations: readonly Operation[]): this {
    for (const operation of operations) this.success.push(operationMessage(this.names, operation));
    return this;
  }

  /** Adds operations that run when a condition does not hold. */
  else(...operations: readonly Operation[]): this {
    for (const operation of operations) this.failure.push(operationMessage(this.names, operation));
    return this;
  }

  /** The message as it would be sent. */
  toRequest(): pb.TxnRequest {
    return { compare: [...this.conditions], success: [...this.success], failure: [...this.failure] };
  }

  /** @throws MaybeAppliedError (rejects) when it may write and the answer was lost; any other ConclaveError. */
  async commit(options?: CallOptions): Promise<TxnResult> {
    return toTxnResult(await this.store.txn(this.toRequest(), options), this.names);
  }
}

export function toTxnResult(response: pb.TxnResponse, names: KeyNamespace): TxnResult {
  return {
    succeeded: response.succeeded,
    revision: response.header?.revision ?? 0n,
    clusterId: response.header?.cluster_id ?? 0n,
    results: response.responses.map((answer) => toOperationResult(answer, names)),
  };
}

function toOperationResult(answer: pb.ResponseOp, names: KeyNamespace): OperationResult {
  const { response } = answer;
  switch (response?.$case) {
    case 'response_range': {
      const { kvs, more, count } = response.value;
      return { kind: 'range', entries: kvs.map((kv) => toEntry(kv, names)), more, count };
    }
    case 'response_put':
      return { kind: 'put', previous: toEntryOrNull(response.value.prev_kv, names) };
    case 'response_delete_range': {
      const { deleted, prev_kvs } = response.value;
      return { kind: 'delete', deleted, previous: prev_kvs.map((kv) => toEntry(kv, names)) };
    }
    case 'response_txn': {
      const { succeeded, responses } = response.value;
      return { kind: 'txn', succeeded, results: responses.map((inner) => toOperationResult(inner, names)) };
    }
    case undefined:
      throw new ConclaveError('server', 'the answer to an operation of a transaction is empty', false);
  }
}

/** The entries that a range operation of a transaction found. @throws InvalidArgumentError for another kind. */
export function rangeResult(result: TxnResult, index: number): readonly Entry[] {
  const answer = result.results[index];
  if (answer?.kind === 'range') return answer.entries;
  throw new InvalidArgumentError(
    `operation ${index} of the transaction is no range but ${answer?.kind ?? 'absent'}`,
  );
}
