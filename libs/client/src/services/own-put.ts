import { Buffer } from 'node:buffer';
import { pause, throwIfCancelled } from '../cancellation.js';
import { asConclaveError } from '../error-mapping.js';
import { type CallOptions } from '../kv-store.js';
import { type LeaseId, type Revision } from '../kv/entry.js';
import { compare, op } from '../kv/operations.js';
import { rangeResult, type TxnResult } from '../kv/txn.js';
import { type ServiceContext } from './context.js';

/** A key that is written once. */
export interface OwnPut {
  readonly key: string;
  /** Different for every call, so that a repetition recognises the put of a lost answer. */
  readonly value: string | Uint8Array;
  readonly lease?: LeaseId;
}

/** `taken`: the key has another value, so somebody else was first. */
export type OwnPutOutcome =
  { readonly kind: 'put'; readonly revision: Revision } | { readonly kind: 'taken' };

/** So often is a lost answer asked for again, beyond the retries of each call. */
const attempts = 5;

/**
 * Puts a key that does not exist yet. A lost answer is no question: the transaction is asked again and finds its own value.
 *
 * @throws MaybeAppliedError (rejects) when every answer was lost; any other ConclaveError.
 */
export async function putOnce(
  context: ServiceContext,
  put: OwnPut,
  options: CallOptions = {},
): Promise<OwnPutOutcome> {
  const { kv, clock, newBackoff, closing } = context;
  const backoff = newBackoff();
  const value = typeof put.value === 'string' ? Buffer.from(put.value, 'utf8') : put.value;
  const written = op.put(put.key, value, put.lease === undefined ? {} : { lease: put.lease });
  for (let left = attempts; ; left -= 1) {
    throwIfCancelled(closing);
    try {
      const result = await kv
        .txn()
        .if(compare.missing(put.key))
        .do(written)
        .else(op.get(put.key))
        .commit(options);
      return outcomeOf(result, value);
    } catch (caught) {
      const error = asConclaveError(caught);
      if (error.code !== 'maybe-applied' || left === 1) throw error;
    }
    await pause(clock, backoff.next(), closing);
  }
}

function outcomeOf(result: TxnResult, value: Uint8Array): OwnPutOutcome {
  if (result.succeeded) return { kind: 'put', revision: result.revision };
  const [found] = rangeResult(result, 0);
  if (found === undefined || !Buffer.from(found.value).equals(value)) return { kind: 'taken' };
  return { kind: 'put', revision: found.createRevision };
}

/** Sixteen hex digits, different with every call as far as chance goes. For names, never for secrets. */
export function randomName(random: () => number): string {
  const half = (): string =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return half() + half();
}
