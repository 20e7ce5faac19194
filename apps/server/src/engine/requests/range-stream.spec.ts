import { etcdserverpb } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { OperationCounts } from '../apply/operation-counts.js';
import { MemoryBackend } from '../backend/memory-backend.js';
import { MvccStore } from '../mvcc/mvcc-store.js';
import { silentMeter } from '../wal/wal-fixture.js';
import { type RequestContext, type ResponseStream } from './method.js';
import { rangeMethod } from './range.js';
import { rangeStreamMethod } from './range-stream.js';
import { type RequestParts } from './request-parts.js';
import { ResponseHeader } from './response-header.js';

const context: RequestContext = { token: undefined, requireLeader: false, onCancel: undefined };
const all = { key: Buffer.from('k'), range_end: Buffer.from('l') };

/** A store with 500 keys, local state always readable, and deferred work run at once. */
function partsWithKeys(): RequestParts {
  const store = MvccStore.open(new MemoryBackend());
  for (let number = 0; number < 500; number++) {
    const txn = store.begin();
    txn.put(`k/${String(number).padStart(4, '0')}`, Buffer.alloc(20, number & 255), 0n);
    txn.end();
  }
  return {
    store,
    machine: { kv: { counts: new OperationCounts() } },
    header: new ResponseHeader(1n, 2n, () => 3),
    replica: { linearizable: (done: (error: undefined) => void) => done(undefined) },
    clock: { now: () => 0, defer: (next: () => void) => next() },
    meter: silentMeter,
    limits: { maxRequestBytes: 4_096 },
  } as unknown as RequestParts;
}

function encode(request: Partial<etcdserverpb.RangeRequest>): Uint8Array {
  return etcdserverpb.RangeRequest.encode(etcdserverpb.RangeRequest.fromPartial(request)).finish();
}

/** Runs the stream with a peer that asks to hold back after every chunk. */
function stream(parts: RequestParts, request: Partial<etcdserverpb.RangeRequest>) {
  const chunks: etcdserverpb.RangeResponse[] = [];
  let end: string | undefined;
  const responses: ResponseStream = {
    onDrain: undefined,
    send(message) {
      chunks.push(etcdserverpb.RangeStreamResponse.decode(message).range_response!);
      return false;
    },
    end: (error) => (end = error?.message ?? 'ok'),
  };
  rangeStreamMethod(parts).open(context, responses).message(encode(request));
  for (let turn = 0; turn < 1_000 && end === undefined; turn++) responses.onDrain?.();
  return { chunks, end };
}

describe('RangeStream', () => {
  it.each([
    ['everything', {}],
    ['a limit', { limit: 137n }],
    ['a past revision', { revision: 250n }],
    ['keys only', { keys_only: true }],
    ['the count only', { count_only: true }],
  ])('gives in chunks what a unary Range gives: %s', (_what, more) => {
    const parts = partsWithKeys();
    const { chunks, end } = stream(parts, { ...all, ...more });
    let unary: Uint8Array | undefined;
    rangeMethod(parts).call(encode({ ...all, ...more }), context, (_error, response) => (unary = response));
    const last = chunks.at(-1)!;
    expect(end).toBe('ok');
    expect({ ...last, kvs: chunks.flatMap(({ kvs }) => kvs) }).toEqual(
      etcdserverpb.RangeResponse.decode(unary!),
    );
    for (const { header, more: isCut, count } of chunks.slice(0, -1)) {
      expect([header, isCut, count]).toEqual([undefined, false, 0n]);
    }
    if (!('count_only' in more)) expect(chunks.length).toBeGreaterThan(3);
  });

  it('refuses what the contract leaves out, and a future revision', () => {
    const parts = partsWithKeys();
    expect(stream(parts, { ...all, sort_target: 1 }).end).toMatch(/custom sort orders/);
    expect(stream(parts, { ...all, min_mod_revision: 3n }).end).toMatch(/revision filters/);
    expect(stream(parts, { ...all, revision: 9_999n }).end).toMatch(/future revision/);
  });
});
