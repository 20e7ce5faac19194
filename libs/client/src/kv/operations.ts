import { type Key, type RangeSelection, type Value } from '../key-range.js';
import { type LeaseId, type Revision } from './entry.js';
import { type TxnBuilder } from './txn.js';

export interface ReadOptions {
  /** Read the past; default: the newest state. Compacted revisions cannot be read. */
  readonly revision?: Revision;
  /** Default false: the answer includes every write acknowledged before the call. True: one member's own state. */
  readonly serializable?: boolean;
}

export interface RangeOptions extends ReadOptions, RangeSelection {
  /** At most so many entries; default: no limit. */
  readonly limit?: number;
  /** Default: by key, ascending. */
  readonly sort?: {
    readonly by: 'key' | 'version' | 'create' | 'mod' | 'value';
    readonly order: 'ascend' | 'descend';
  };
  /** Entries without their values. */
  readonly keysOnly?: boolean;
  /** No entries, only their number. */
  readonly countOnly?: boolean;
  readonly minModRevision?: Revision;
  readonly maxModRevision?: Revision;
  readonly minCreateRevision?: Revision;
  readonly maxCreateRevision?: Revision;
}

export interface PutOptions {
  /** Bind the key to this lease; default: to none, which also takes it from the lease it had. */
  readonly lease?: LeaseId;
  /** Keep the lease that the key has. The key must exist. */
  readonly keepLease?: boolean;
  /** Answer with the entry before this put. */
  readonly prevKv?: boolean;
}

export interface DeleteOptions extends RangeSelection {
  /** Answer with the entries that were deleted. */
  readonly prevKv?: boolean;
}

/** One operation of a transaction, as plain data. Made with {@link op}. */
export type Operation =
  | { readonly kind: 'range'; readonly key: Key; readonly options: RangeOptions }
  | { readonly kind: 'put'; readonly key: Key; readonly value: Value; readonly options: PutOptions }
  | { readonly kind: 'delete'; readonly key: Key; readonly options: DeleteOptions }
  | { readonly kind: 'txn'; readonly txn: TxnBuilder };

/** The operations of a transaction. */
export const op = {
  get: (key: Key, options: ReadOptions = {}): Operation => ({ kind: 'range', key, options }),
  range: (key: Key, options: RangeOptions = {}): Operation => ({ kind: 'range', key, options }),
  put: (key: Key, value: Value, options: PutOptions = {}): Operation => ({
    kind: 'put',
    key,
    value,
    options,
  }),
  delete: (key: Key, options: DeleteOptions = {}): Operation => ({ kind: 'delete', key, options }),
  /** A transaction inside; its conditions are judged on the state before the whole transaction. */
  txn: (txn: TxnBuilder): Operation => ({ kind: 'txn', txn }),
} as const;

export type Relation = '=' | '!=' | '<' | '>';

/** One condition of a transaction, as plain data. Made with {@link compare}. */
export type Comparison = {
  readonly key: Key;
  readonly selection: RangeSelection;
  readonly relation: Relation;
} & (
  | { readonly target: 'version' | 'create' | 'mod' | 'lease'; readonly operand: bigint }
  | { readonly target: 'value'; readonly operand: Value }
);

/** Waits for the right-hand side of a condition. */
export class Comparand<T> {
  constructor(private readonly build: (relation: Relation, operand: T) => Comparison) {}

  equals(operand: T): Comparison {
    return this.build('=', operand);
  }
  notEquals(operand: T): Comparison {
    return this.build('!=', operand);
  }
  lessThan(operand: T): Comparison {
    return this.build('<', operand);
  }
  greaterThan(operand: T): Comparison {
    return this.build('>', operand);
  }
}

function numeric(target: 'version' | 'create' | 'mod' | 'lease', key: Key, selection: RangeSelection) {
  return new Comparand<bigint>((relation, operand) => ({ key, selection, relation, target, operand }));
}

/**
 * The conditions of a transaction. All of them must hold, on the state before the transaction. With a range selection
 * every key in the range must satisfy the condition. A key that does not exist counts as 0n everywhere, except that a
 * condition on its value never holds.
 */
export const compare = {
  version: (key: Key, selection: RangeSelection = {}) => numeric('version', key, selection),
  createRevision: (key: Key, selection: RangeSelection = {}) => numeric('create', key, selection),
  modRevision: (key: Key, selection: RangeSelection = {}) => numeric('mod', key, selection),
  lease: (key: Key, selection: RangeSelection = {}) => numeric('lease', key, selection),
  value: (key: Key, selection: RangeSelection = {}) =>
    new Comparand<Value>((relation, operand) => ({ key, selection, relation, target: 'value', operand })),
  exists: (key: Key): Comparison => numeric('create', key, {}).greaterThan(0n),
  /** With a range selection: no key of the range exists. */
  missing: (key: Key, selection: RangeSelection = {}): Comparison =>
    numeric('create', key, selection).equals(0n),
} as const;
