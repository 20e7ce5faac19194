import { etcdserverpb } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { OperationCounts } from '../apply/operation-counts.js';
import { MemoryBackend } from '../backend/memory-backend.js';
import { MvccStore } from '../mvcc/mvcc-store.js';
import { silentMeter } from '../wal/wal-fixture.js';
import { type RequestContext } from './method.js';
import { rangeMethod } from './range.js';
import { type RequestParts } from './request-parts.js';
import { ResponseHeader } from './response-header.js';

const context: RequestContext = { token: undefined, requireLeader: false, onCancel: undefined };

/** A Range on a store with two keys, with local state always readable. */
function answer(request: Partial<etcdserverpb.RangeRequest>): etcdserverpb.RangeResponse {
  const store = MvccStore.open(new MemoryBackend());
  for (const key of ['a', `long/${'x'.repeat(200)}`]) {
    const txn = store.begin();
    txn.put(key, Buffer.from('v'), 0n);
    txn.end();
  }
  const parts = {
    store,
    machine: { kv: { counts: new OperationCounts() } },
    header: new ResponseHeader(1n, 2n, () => 3),
    replica: { linearizable: (done: (error: undefined) => void) => done(undefined) },
    clock: { now: () => 0, defer: (next: () => void) => next() },
    meter: silentMeter,
  } as unknown as RequestParts;
  let response: Uint8Array | undefined;
  const bytes = etcdserverpb.RangeRequest.encode(etcdserverpb.RangeRequest.fromPartial(request)).finish();
  rangeMethod(parts).call(bytes, context, (error, given) => {
    expect(error).toBeUndefined();
    response = given;
  });
  return etcdserverpb.RangeResponse.decode(response!);
}

describe('Range', () => {
  it.each([['a'], ['absent'], [`long/${'x'.repeat(200)}`]])(
    'answers a request of a key alone as one that is decoded in full: %s',
    (key) => {
      const plain = answer({ key: Buffer.from(key) });
      // A limit of one changes nothing for one key, but takes the long way.
      expect(plain).toEqual(answer({ key: Buffer.from(key), limit: 1n }));
      expect(plain.count).toBe(key === 'absent' ? 0n : 1n);
    },
  );
});
