import { Buffer } from 'node:buffer';
import { doublingBuckets } from '../platform/meter.js';
import { etcdserverpb, WireWriter } from '@conclave/protocol';
import { crc32c } from '../platform/table-crc.js';
import type { HashResult } from '../mvcc/hash.js';
import { decodeRequest } from './decode.js';
import type { UnaryMethod } from './method.js';
import type { RequestParts } from './request-parts.js';
import { inSlices } from './slices.js';
import { StateHash } from './state-hash.js';
import { unary } from './unary.js';

/** One batch of a hash scan, which is bounded in bytes, too: about a millisecond. */
const rowsPerSlice = 512;

/** What etcd answers for negative revisions, before which nothing ever happened. */
const hashOfNothing = crc32c(0, Buffer.from('key', 'latin1'));

/** As etcd's. */
const hashBuckets = doublingBuckets(0.01, 15);

/**
 * Maintenance.HashKV: the hash of the history up to a revision (0: the current one) as this member has it, equal on all
 * members, and on those of etcd with the same history. It needs no quorum.
 */
export function hashKvMethod(parts: RequestParts): UnaryMethod {
  const help = 'The latency distribution of storage hash by revision operations.';
  const durations = parts.meter.histogram('etcd_mvcc_hash_rev_duration_seconds', help, hashBuckets);
  return unary((bytes, reply, context) => {
    const { revision } = decodeRequest(etcdserverpb.HashKVRequest, bytes);
    const { clock, store } = parts;
    const began = clock.now();
    let cancelled = false;
    context.onCancel = () => (cancelled = true);
    const scan = revision < 0n ? undefined : store.hashSlices(Number(revision));
    const { compactRevision } = store;
    inSlices<HashResult>(clock, {
      step: () =>
        scan === undefined
          ? { hash: hashOfNothing, compactRevision, hashRevision: Number(revision) }
          : scan.step(rowsPerSlice),
      isCancelled: () => cancelled,
      done(error, result) {
        if (error !== undefined || result === undefined) return reply(error, undefined);
        durations.observe((clock.now() - began) / 1_000);
        reply(undefined, parts.header.response(store.currentRevision, hashKvBody(result)));
      },
    });
  });
}

/** Maintenance.Hash: of everything that is replicated, see {@link StateHash}. */
export function hashMethod(parts: RequestParts): UnaryMethod {
  const help = 'The latency distribution of storage hash operations.';
  const durations = parts.meter.histogram('etcd_mvcc_hash_duration_seconds', help, hashBuckets);
  return unary((_bytes, reply, context) => {
    const { clock, store } = parts;
    const began = clock.now();
    let cancelled = false;
    context.onCancel = () => (cancelled = true);
    const hash = new StateHash(store);
    inSlices<number>(clock, {
      step: () => hash.step(rowsPerSlice),
      isCancelled: () => cancelled,
      done(error, result) {
        if (error !== undefined || result === undefined) return reply(error, undefined);
        durations.observe((clock.now() - began) / 1_000);
        const body = new WireWriter(16).uint(2, result).take();
        reply(undefined, parts.header.response(store.currentRevision, body));
      },
    });
  });
}

function hashKvBody({ hash, compactRevision, hashRevision }: HashResult): Uint8Array {
  return new WireWriter(48)
    .uint(2, hash)
    .bigint(3, BigInt(compactRevision))
    .bigint(4, BigInt(hashRevision))
    .take();
}
