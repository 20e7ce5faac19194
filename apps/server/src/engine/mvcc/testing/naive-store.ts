import { Buffer } from 'node:buffer';
import { mvccpb } from '@conclave/protocol';
import { isInRange, type RangeBounds } from '../range-bounds.js';
import { type RangeQuery, SortOrder, SortTarget } from '../range-query.js';

/** One change, as the model keeps it. */
export interface NaiveEvent {
  readonly main: number;
  readonly sub: number;
  readonly key: string;
  /** Undefined: a delete. */
  readonly value: string | undefined;
  readonly lease: bigint;
}

/** A key at some revision. */
export interface NaiveKeyValue {
  readonly key: string;
  readonly create: number;
  readonly mod: number;
  readonly version: number;
  readonly value: string;
  readonly lease: bigint;
}

export interface NaiveRange {
  readonly kvs: readonly NaiveKeyValue[];
  readonly count: number;
  readonly more: boolean;
}

/** A change of a transaction of the model. */
export type NaiveWrite =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease: bigint }
  | { readonly kind: 'delete'; readonly bounds: RangeBounds };

/**
 * The reference that the store is compared with: it keeps every change for ever and computes every answer by replaying
 * them from the first one.
 */
export class NaiveStore {
  readonly events: NaiveEvent[] = [];
  currentRevision = 1;
  compactRevision = -1;

  /** Runs writes as one transaction and returns its changes. */
  write(writes: readonly NaiveWrite[]): NaiveEvent[] {
    const main = this.currentRevision + 1;
    const changes: NaiveEvent[] = [];
    for (const write of writes) {
      if (write.kind === 'put') {
        const { key, value, lease } = write;
        changes.push(this.add({ main, sub: changes.length, key, value, lease }));
        continue;
      }
      for (const key of [...this.stateAt(main).keys()].sort()) {
        if (!isInRange(write.bounds, key)) continue;
        changes.push(this.add({ main, sub: changes.length, key, value: undefined, lease: 0n }));
      }
    }
    if (changes.length > 0) this.currentRevision = main;
    return changes;
  }

  /** @returns The name of the error, if it is refused. */
  compact(revision: number): 'Compacted' | 'FutureRev' | undefined {
    if (revision <= this.compactRevision) return 'Compacted';
    if (revision > this.currentRevision) return 'FutureRev';
    this.compactRevision = revision;
    return undefined;
  }

  stateAt(revision: number): Map<string, NaiveKeyValue> {
    const state = new Map<string, NaiveKeyValue>();
    for (const { main, key, value, lease } of this.events) {
      if (main > revision) break;
      if (value === undefined) {
        state.delete(key);
        continue;
      }
      const before = state.get(key);
      const create = before?.create ?? main;
      state.set(key, { key, create, mod: main, version: (before?.version ?? 0) + 1, value, lease });
    }
    return state;
  }

  range(query: RangeQuery): NaiveRange | 'Compacted' | 'FutureRev' {
    const requested = query.revision ?? 0;
    if (requested > this.currentRevision) return 'FutureRev';
    const revision = requested <= 0 ? this.currentRevision : requested;
    if (revision < this.compactRevision) return 'Compacted';
    const { bounds, limit = 0, sortTarget = SortTarget.Key, sortOrder = SortOrder.None } = query;
    const inRange = [...this.stateAt(revision).values()].filter((kv) => isInRange(bounds, kv.key));
    inRange.sort((left, right) => order(left.key, right.key));
    const count = inRange.length;
    if (query.countOnly === true) return { kvs: [], count, more: false };
    const isFiltered = [query.minMod, query.maxMod, query.minCreate, query.maxCreate].some(
      (bound) => (bound ?? 0) !== 0,
    );
    const fetched =
      limit > 0 && sortOrder === SortOrder.None && !isFiltered ? inRange.slice(0, limit + 1) : inRange;
    const kept = fetched.filter((kv) => passes(kv, query));
    if (sortOrder !== SortOrder.None || sortTarget !== SortTarget.Key) sort(kept, sortTarget, sortOrder);
    const more = limit > 0 && kept.length > limit;
    const cut = limit > 0 ? kept.slice(0, limit) : kept;
    return { kvs: query.keysOnly === true ? cut.map((kv) => ({ ...kv, value: '' })) : cut, count, more };
  }

  /** The log rows that are left when a compaction to `compactRevision` is finished. */
  survivors(): NaiveEvent[] {
    return this.events.filter((event) => {
      if (event.main >= this.compactRevision) return true;
      return event.value !== undefined && this.newestAt(event.key, this.compactRevision) === event;
    });
  }

  /** etcd's HashKV, written down as its source says it, over what a finished compaction leaves. */
  hash(revision: number): number {
    const keep = new Set<NaiveEvent>();
    for (const key of new Set(this.events.map((event) => event.key))) {
      const newest = this.newestAt(key, revision);
      if (newest?.value !== undefined) keep.add(newest);
    }
    const parts = [Buffer.from('key')];
    for (const event of this.survivors()) {
      if (event.main > revision) continue;
      if (event.main <= this.compactRevision && keep.size > 0 && !keep.has(event)) continue;
      if (event.main === this.compactRevision && event.value === undefined) continue;
      // etcd refuses a transaction that changes a key twice, so that its own revision has no more to skip.
      if (event.main === this.compactRevision && this.newestAt(event.key, event.main) !== event) continue;
      const tombstone = event.value === undefined;
      const revisionKey = Buffer.alloc(tombstone ? 18 : 17, 't');
      revisionKey.writeBigUInt64BE(BigInt(event.main), 0);
      revisionKey[8] = '_'.charCodeAt(0);
      revisionKey.writeBigUInt64BE(BigInt(event.sub), 9);
      parts.push(revisionKey, Buffer.from(this.encode(event)));
    }
    return bitwiseCrc32c(Buffer.concat(parts));
  }

  /** The protobuf bytes that etcd stores for a change. */
  encode(event: NaiveEvent): Uint8Array {
    if (event.value === undefined)
      return encodeKeyValue({ key: event.key, create: 0, mod: 0, version: 0, value: '', lease: 0n });
    let state: NaiveKeyValue | undefined;
    for (const other of this.events) {
      if (other.key === event.key) state = other.value === undefined ? undefined : next(state, other);
      if (other === event) break;
    }
    if (state === undefined) throw new Error('the event is not in the history');
    return encodeKeyValue(state);
  }

  private newestAt(key: string, revision: number): NaiveEvent | undefined {
    return this.events.filter((event) => event.key === key && event.main <= revision).at(-1);
  }

  private add(event: NaiveEvent): NaiveEvent {
    this.events.push(event);
    return event;
  }
}

export function encodeKeyValue(kv: NaiveKeyValue): Uint8Array {
  return mvccpb.KeyValue.encode({
    key: Buffer.from(kv.key, 'latin1'),
    create_revision: BigInt(kv.create),
    mod_revision: BigInt(kv.mod),
    version: BigInt(kv.version),
    value: Buffer.from(kv.value, 'latin1'),
    lease: kv.lease,
  }).finish();
}

function next(
  before: NaiveKeyValue | undefined,
  { key, main, value = '', lease }: NaiveEvent,
): NaiveKeyValue {
  return {
    key,
    create: before?.create ?? main,
    mod: main,
    version: (before?.version ?? 0) + 1,
    value,
    lease,
  };
}

function passes(
  kv: NaiveKeyValue,
  { minMod = 0, maxMod = 0, minCreate = 0, maxCreate = 0 }: RangeQuery,
): boolean {
  if (maxMod !== 0 && kv.mod > maxMod) return false;
  if (minMod !== 0 && kv.mod < minMod) return false;
  if (maxCreate !== 0 && kv.create > maxCreate) return false;
  return minCreate === 0 || kv.create >= minCreate;
}

function sort(kvs: NaiveKeyValue[], target: SortTarget, sortOrder: SortOrder): void {
  const sign = sortOrder === SortOrder.Descend ? -1 : 1;
  const by = (kv: NaiveKeyValue): number | string =>
    [kv.key, kv.version, kv.create, kv.mod, kv.value][target];
  kvs.sort((left, right) => sign * order(by(left), by(right)));
}

function order(left: number | string, right: number | string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function bitwiseCrc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
