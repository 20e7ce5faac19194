import { type ByteString } from '../backend/backend.js';
import { type StoredKeyValue } from './key-value.js';
import { type RangeBounds } from './range-bounds.js';

/** What to sort by. The numbers are those of `RangeRequest.SortTarget`. */
export enum SortTarget {
  Key = 0,
  Version = 1,
  Create = 2,
  Mod = 3,
  Value = 4,
}

/** The numbers are those of `RangeRequest.SortOrder`. `None` is ascending by key while keys are fetched. */
export enum SortOrder {
  None = 0,
  Ascend = 1,
  Descend = 2,
}

/** What a Range asks for, already validated. Only `bounds` is required. */
export interface RangeQuery {
  readonly bounds: RangeBounds;
  /** 0 or less: the current revision. */
  readonly revision?: number;
  /** 0 or less: no limit. */
  readonly limit?: number;
  readonly countOnly?: boolean;
  /** The scan ends where the limit cuts; `count` is then only a part of the truth. */
  readonly uncounted?: boolean;
  readonly keysOnly?: boolean;
  readonly sortTarget?: SortTarget;
  readonly sortOrder?: SortOrder;
  /** Inclusive bounds of the mod and create revision; 0 or absent: none. They do not change `count`. */
  readonly minMod?: number;
  readonly maxMod?: number;
  readonly minCreate?: number;
  readonly maxCreate?: number;
}

/** The answer to a Range. It owns its bytes. */
export interface RangeResult {
  readonly kvs: readonly StoredKeyValue[];
  /** The repeated field `RangeResponse.kvs`, tags and lengths included, ready to be copied into an answer. */
  readonly encodedKvs: Uint8Array;
  /** Number of entries in `kvs`. */
  readonly length: number;
  /** All keys in the range at that revision, whatever the limit and the filters. */
  readonly count: number;
  /** The limit cut something off. */
  readonly more: boolean;
  /** The store's current revision, for the response header (not the one asked for). */
  readonly revision: number;
}

/** Where one version of a key stands, and what its head row tells of it. */
export interface KeyMetadata {
  readonly key: ByteString;
  readonly create: number;
  readonly mod: number;
  readonly version: number;
  readonly lease: bigint;
}
