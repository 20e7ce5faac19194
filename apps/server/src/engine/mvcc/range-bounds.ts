import { type ByteString } from '../backend/backend.js';

/** A half-open range of keys: `from <= key < to`. */
export interface RangeBounds {
  readonly from: ByteString;
  /** Undefined: no upper bound. */
  readonly to: ByteString | undefined;
  /** The range was asked for as one key. */
  readonly single: boolean;
}

/**
 * The keys that etcd's pair (key, range_end) means: an empty range_end is the single key, `"\0"` is every key from
 * `key` on, anything else is the half-open range. A range_end at or below the key gives an empty range. (A prefix is
 * the client's arithmetic: its last byte plus one.)
 */
export function rangeBounds(key: ByteString, rangeEnd: ByteString): RangeBounds {
  if (rangeEnd === '') return { from: key, to: `${key}\0`, single: true };
  if (rangeEnd === '\0') return { from: key, to: undefined, single: false };
  return { from: key, to: rangeEnd > key ? rangeEnd : key, single: false };
}

export function isEmptyRange(bounds: RangeBounds): boolean {
  return bounds.to !== undefined && bounds.to <= bounds.from;
}

export function isInRange(bounds: RangeBounds, key: ByteString): boolean {
  return key >= bounds.from && (bounds.to === undefined || key < bounds.to);
}
