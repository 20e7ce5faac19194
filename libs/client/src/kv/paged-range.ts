import { InvalidArgumentError } from '../errors.js';
import { type Key, type KeyNamespace } from '../key-range.js';
import { type CallOptions, type KvStore } from '../kv-store.js';
import { rangeRequest } from './encode.js';
import { type RangeOptions } from './operations.js';
import { RangeReader } from './range-reader.js';

export interface PageOptions extends Omit<RangeOptions, 'sort' | 'countOnly'>, CallOptions {
  /** Entries per request; default 1,000. */
  readonly pageSize?: number;
}

const defaultPageSize = 1_000;

/** A reader of a range as an application names it. @throws InvalidArgumentError when it cannot be read in pieces. */
export function pagedRange(store: KvStore, names: KeyNamespace, key: Key, options: PageOptions): RangeReader {
  const { pageSize = defaultPageSize } = options;
  if (!Number.isSafeInteger(pageSize) || pageSize < 1) {
    throw new InvalidArgumentError(`pageSize: ${pageSize} is not a whole number from 1 on`);
  }
  const { sort, countOnly } = options as RangeOptions;
  if (countOnly === true) throw new InvalidArgumentError('countOnly: there is nothing to page; use range()');
  if (sort !== undefined && (sort.by !== 'key' || sort.order !== 'ascend')) {
    throw new InvalidArgumentError('sort: pages come by key, ascending; use range() for another order');
  }
  return new RangeReader(store, rangeRequest(names, key, options), { pageSize, call: options });
}
