import { etcdserverpb as pb } from '@conclave/protocol';
import { Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { nodeRuntime } from '../runtime.js';
import { FakeWorld } from '../testing/fake-client.js';
import { type WatchSignal } from './resuming-watch.js';
import { type KeyChange } from './revision-batch.js';
import { type StateView, stateOf } from './state.js';

const put = (n: number, revision: bigint): KeyChange => ({
  type: 'put',
  key: `k/${String(n).padStart(6, '0')}`,
  keyBytes: Buffer.from(String(n)),
  value: Buffer.from('v'),
  created: true,
  createRevision: 1n,
  modRevision: revision,
  version: 1n,
});

/** As one transaction. */
function putAll(world: FakeWorld, count: number, value: string): void {
  world.store.write((mvcc, written) => {
    for (let n = 0; n < count; n += 1) {
      const key = Buffer.from(`s/${String(n).padStart(5, '0')}`);
      mvcc.put(pb.PutRequest.create({ key, value: Buffer.from(value) }), written);
    }
  });
}

describe('a state of many keys', () => {
  it('shares everything but the change with the view before, and every view stays what it was', () => {
    const signals = new Subject<WatchSignal>();
    const views: StateView<Uint8Array>[] = [];
    stateOf(signals, {}, nodeRuntime.clock).subscribe((view) => views.push(view as StateView<Uint8Array>));
    const changes = Array.from({ length: 10_000 }, (_, n) => put(n, 1n));
    const batch = { revision: 1n, cause: 'initial', changes, complete: true } as const;
    signals.next({ kind: 'batch', batch, clusterId: 1n });
    for (let n = 0; n < 100; n += 1) {
      const revision = BigInt(n + 2);
      const one = { revision, cause: 'change', changes: [put(n * 97, revision)], complete: false } as const;
      signals.next({ kind: 'batch', batch: one, clusterId: 1n });
    }
    expect(views).toHaveLength(101);
    const [first, last] = [views[0], views.at(-1)];
    expect([...(last?.entries.values() ?? [])].filter((e) => e !== first?.entries.get(e.key))).toHaveLength(
      100,
    );
    expect([...(first?.entries.values() ?? [])].every((entry) => entry.modRevision === 1n)).toBe(true);
    expect(last?.changed).toEqual(new Set(['k/009603']));
    expect([first, first?.entries.get('k/000000')].every(Object.isFrozen)).toBe(true);
    expect([...(last?.entries.keys() ?? [])]).toEqual(changes.map((change) => change.key));
  });

  it('asks for ten thousand keys with two reads', async () => {
    const world = new FakeWorld();
    putAll(world, 10_000, 'v');
    let size = 0;
    world
      .client()
      .watch.state('s/')
      .subscribe((view) => (size = view.entries.size));
    await world.clock.settle();
    expect(size).toBe(10_000);
    expect(world.store.calls.filter((method) => method === 'range')).toHaveLength(2);
  });

  it('asks for fewer large values at once', async () => {
    const world = new FakeWorld();
    putAll(world, 1_400, 'v'.repeat(30_000));
    let size = 0;
    world
      .client()
      .watch.state('s/')
      .subscribe((view) => (size = view.entries.size));
    await world.clock.settle();
    expect(size).toBe(1_400);
    // 139 of 30 kB fit into 4 MiB.
    expect(world.store.calls.filter((method) => method === 'range')).toHaveLength(1 + Math.ceil(400 / 139));
  });
});
