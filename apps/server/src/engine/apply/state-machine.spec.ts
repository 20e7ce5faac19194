import { etcdserverpb } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { MemoryBackend } from '../backend/memory-backend.js';
import { Lessor } from '../lease/lessor.js';
import { MvccStore } from '../mvcc/mvcc-store.js';
import { type ApplyResult } from './apply-result.js';
import { CommandKind, encodeCommand } from './command.js';
import { StateMachine } from './state-machine.js';

class Bench {
  readonly backend = new MemoryBackend();
  readonly store = MvccStore.open(this.backend);
  readonly machine = new StateMachine({
    backend: this.backend,
    store: this.store,
    lessor: Lessor.recover(this.backend),
  });

  put(put: Partial<etcdserverpb.PutRequest>): ApplyResult {
    const request = etcdserverpb.PutRequest.fromPartial(put);
    return this.apply(CommandKind.Put, etcdserverpb.PutRequest.encode(request).finish());
  }

  txn(...puts: readonly Partial<etcdserverpb.PutRequest>[]): ApplyResult {
    const request = etcdserverpb.TxnRequest.fromPartial({
      success: puts.map((value) => ({
        request: { $case: 'request_put', value: etcdserverpb.PutRequest.fromPartial(value) },
      })),
    });
    return this.apply(CommandKind.Txn, etcdserverpb.TxnRequest.encode(request).finish());
  }

  compact(revision: bigint): ApplyResult {
    const request = { revision, physical: false };
    return this.apply(CommandKind.Compact, etcdserverpb.CompactionRequest.encode(request).finish());
  }

  apply(kind: CommandKind, payload: Uint8Array): ApplyResult {
    const index = this.backend.applied.index + 1;
    const data = encodeCommand(kind, { member: 1n, boot: 1n }, index, payload);
    for (;;) {
      const result = this.machine.apply({ index, term: 1, kind: 'normal', data });
      if (result !== undefined) return result;
    }
  }
}

const key = Buffer.from('a');

describe('compaction in slices', () => {
  it('is durable after a flush, without a further entry', async () => {
    const bench = new Bench();
    for (let at = 0; at < 4; at++) bench.put({ key, value: Buffer.from([at]) });
    bench.compact(5n);
    while (bench.store.compactionPending) bench.machine.compactSlice(2);
    await bench.backend.flush();
    const survivor = bench.backend.crash(() => 0);
    expect(survivor.applied).toEqual({ index: 5, term: 1 });
    const rows: number[] = [];
    survivor.scanLog({ main: 0, sub: 0 }, undefined, (main) => void rows.push(main));
    expect(rows).toEqual([5]);
  });
});

describe('a put whose key and lease are both missing', () => {
  it('is told of the lease, as in etcd, and of the key inside a transaction', () => {
    const bench = new Bench();
    const put = { key, lease: 7n, ignore_value: true };
    expect(bench.put(put).error?.message).toBe('etcdserver: requested lease not found');
    expect(bench.txn(put).error?.message).toBe('etcdserver: key not found');
  });
});
