import { type Buffer } from 'node:buffer';
import { mvccpb } from '@conclave/protocol';
import { type KeyNamespace } from '../key-range.js';
import { type LeaseId, type Revision } from '../kv/entry.js';

/**
 * Why a batch is delivered. `change`: the store says so. `initial`: the state at the start of the subscription.
 * `resync`: history was compacted away before it could be delivered, so the changes were found by comparing lists.
 * `store-replaced`: another store answers now; the changes lead from the old content to the new one.
 */
export type BatchCause = 'change' | 'initial' | 'resync' | 'store-replaced';

/** What happened to one key. Values are bytes unless a codec was given. */
export type KeyChange<T = Uint8Array> =
  | {
      readonly type: 'put';
      /** Without the client's key prefix. */
      readonly key: string;
      readonly keyBytes: Uint8Array;
      readonly value: T;
      /** The value before, when `prevKv` asked for it and the store still had it. */
      readonly prev?: T;
      /** True when this put began a life of the key. */
      readonly created: boolean;
      readonly createRevision: Revision;
      readonly modRevision: Revision;
      readonly version: bigint;
      readonly lease?: LeaseId;
    }
  | { readonly type: 'delete'; readonly key: string; readonly keyBytes: Uint8Array; readonly prev?: T };

/** Everything that changed in one revision of the watched range; never split over two batches. */
export interface RevisionBatch<T = Uint8Array> {
  readonly revision: Revision;
  readonly cause: BatchCause;
  /** Empty only for the progress reports that `progress` asks for. */
  readonly changes: readonly KeyChange<T>[];
  /** True when the changes name every key that exists at this revision: what is not named does not exist. */
  readonly complete: boolean;
}

export function putChange(
  kv: mvccpb.KeyValue,
  created: boolean,
  names: KeyNamespace,
  prev?: Uint8Array,
): KeyChange {
  const keyBytes = names.strip(kv.key);
  const change: Writable<Extract<KeyChange, { type: 'put' }>> = {
    type: 'put',
    key: keyBytes.toString('utf8'),
    keyBytes,
    value: kv.value,
    created,
    createRevision: kv.create_revision,
    modRevision: kv.mod_revision,
    version: kv.version,
  };
  // Set rather than spread: a first state is made of thousands of these.
  if (prev !== undefined) change.prev = prev;
  if (kv.lease !== 0n) change.lease = kv.lease;
  return change;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export function deleteChange(key: Buffer, names: KeyNamespace, prev?: Uint8Array): KeyChange {
  const keyBytes = names.strip(key);
  return {
    type: 'delete',
    key: keyBytes.toString('utf8'),
    keyBytes,
    ...(prev === undefined ? {} : { prev }),
  };
}

/** The change that an event of the store tells of, or undefined for an event without a key. */
export function changeOf(event: mvccpb.Event, names: KeyNamespace): KeyChange | undefined {
  const { kv, prev_kv } = event;
  if (kv === undefined) return undefined;
  if (event.type === mvccpb.Event_EventType.DELETE) return deleteChange(kv.key, names, prev_kv?.value);
  return putChange(kv, kv.create_revision === kv.mod_revision, names, prev_kv?.value);
}
