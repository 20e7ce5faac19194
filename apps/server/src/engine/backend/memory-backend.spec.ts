import { describe, expect, it } from 'vitest';
import { ManualClock } from '../platform/manual-clock.js';
import { type SimulatedDisk } from '../platform/simulated-disk.js';
import { silentLogger, walFixture } from '../wal/wal-fixture.js';
import { type BackendHarness } from './backend-harness.fixture.js';
import { describeBackendContract } from './backend.contract.js';
import { MemoryBackend, type PendingFlush } from './memory-backend.js';
import { describeStateContract } from './state.contract.js';

let members = 0;
let turn = 0;

function member(rowsMax: number, disk: SimulatedDisk): BackendHarness {
  const pending: PendingFlush[] = [];
  const backend = new MemoryBackend({
    generationRowsMax: rowsMax,
    onFlush: (flush) => pending.push(flush),
    states: { disk, directory: `/member${members++}`, logger: silentLogger },
  });
  let last = backend;
  return {
    backend,
    settle: async () => {
      while (pending.length > 0) pending.shift()?.complete();
      await Promise.resolve();
    },
    reopen: async () => {
      last = await MemoryBackend.recover(last.crash((candidates) => (turn += 7) % candidates.length));
      return last;
    },
    another: () => Promise.resolve(member(rowsMax, disk)),
    spool: '/spool',
    disk,
    dispose: () => last.close(),
  };
}

async function make(rowsMax: number): Promise<BackendHarness> {
  const { disk } = walFixture();
  await disk.makeDirectory('/spool');
  return member(rowsMax, disk);
}

describeBackendContract('MemoryBackend', make, 40);
describeStateContract('MemoryBackend', make, 40);

describe('MemoryBackend', () => {
  it('offers every boundary from the flushed one on as a state after a crash', async () => {
    const flushes: PendingFlush[] = [];
    const backend = new MemoryBackend({ onFlush: (flush) => flushes.push(flush) });
    for (let index = 1; index <= 4; index++) {
      backend.put('head', 'k', Buffer.from([index]));
      backend.setApplied({ index, term: 1 });
      if (index === 2) void backend.flush();
    }
    flushes[0].complete();
    await Promise.resolve();
    backend.put('head', 'k', Buffer.from([99]));
    let seen: readonly number[] = [];
    const survivor = backend.crash((candidates) => {
      seen = candidates.map((mark) => mark.index);
      return 1;
    });
    expect(seen).toEqual([2, 3, 4]);
    expect(survivor.applied.index).toBe(3);
    expect(survivor.get('head', 'k')).toEqual(new Uint8Array([3]));
    expect(() => backend.get('head', 'k')).toThrow(/closed backend/);
  });

  it('counts the bytes of what it holds, also after a crash', () => {
    const backend = new MemoryBackend({ onFlush: () => {} });
    backend.put('head', 'key', Buffer.from('value'));
    backend.appendLog(2, 0, Buffer.from('row'));
    backend.setApplied({ index: 1, term: 1 });
    const { usedBytes } = backend.stats;
    backend.put('head', 'other', Buffer.from('lost'));
    const survivor = backend.crash((candidates) => candidates.length - 1);
    expect(survivor.stats.usedBytes).toBe(usedBytes);
    survivor.delete('head', 'key');
    survivor.deleteLog(2, 0);
    expect(survivor.stats.usedBytes).toBe(0);
  });

  it('ignores a flush that completes after the crash', () => {
    const flushes: PendingFlush[] = [];
    const backend = new MemoryBackend({ onFlush: (flush) => flushes.push(flush) });
    backend.put('head', 'k', Buffer.from('1'));
    backend.setApplied({ index: 1, term: 1 });
    void backend.flush();
    const survivor = backend.crash(() => 0);
    flushes[0].complete();
    expect(backend.flushed.index).toBe(0);
    expect(survivor.applied.index).toBe(0);
    expect(survivor.get('head', 'k')).toBeUndefined();
  });

  it('closes a generation by age, when it has a clock', () => {
    const clock = new ManualClock();
    const flushes: PendingFlush[] = [];
    const backend = new MemoryBackend({ clock, onFlush: (flush) => flushes.push(flush) });
    backend.put('head', 'k', Buffer.from('1'));
    backend.setApplied({ index: 1, term: 1 });
    clock.advance(1_999);
    expect(flushes).toHaveLength(0);
    clock.advance(1);
    expect(flushes.map((flush) => flush.mark.index)).toEqual([1]);
  });

  it('hands a failed flush to its listener', () => {
    const errors: Error[] = [];
    const backend = new MemoryBackend({ onFlush: (flush) => flush.fail(new Error('broken disk')) });
    backend.onFailure = (error) => errors.push(error);
    backend.setApplied({ index: 1, term: 1 });
    void backend.flush();
    expect(errors.map((error) => error.message)).toEqual(['broken disk']);
  });

  it('overwrites what a caller keeps longer than it may', () => {
    const backend = new MemoryBackend();
    backend.put('head', 'a', Buffer.from('aa'));
    const kept = backend.get('head', 'a');
    backend.get('head', 'b');
    expect(kept).toEqual(new Uint8Array([0xdd, 0xdd]));
    expect(backend.get('head', 'a')).toEqual(new Uint8Array(Buffer.from('aa')));
  });
});
