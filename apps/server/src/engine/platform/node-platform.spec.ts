import { describe, expect, it } from 'vitest';
import { ManualClock } from './manual-clock.js';
import { NodeClock } from './node-clock.js';
import { errorCode, readFully, writeFully } from './node-disk-io.js';
import { NodeRandom } from './node-random.js';
import { workerUrl } from './worker-url.js';

const systemError = (code: string): Error => Object.assign(new Error(code), { code, errno: -5 });

describe('writeFully and readFully', () => {
  it('go on after short and interrupted transfers', () => {
    const calls: [number, number, number][] = [];
    const failure = writeFully(
      (_bytes, from, length, position) => {
        calls.push([from, length, position]);
        if (calls.length === 2) throw systemError('EINTR');
        return Math.min(3, length);
      },
      new Uint8Array(7),
      7,
      100,
    );
    expect(failure).toBeUndefined();
    expect(calls).toEqual([
      [0, 7, 100],
      [3, 4, 103],
      [3, 4, 103],
      [6, 1, 106],
    ]);
    let reads = 0;
    const count = readFully(
      (_bytes, _from, length) => (++reads > 2 ? 0 : Math.min(2, length)),
      new Uint8Array(9),
      0,
    );
    expect(count).toBe(4);
  });

  it('say where a write stopped, and never spin without progress', () => {
    let calls = 0;
    const write = (): number => {
      if (++calls === 3) throw systemError('EIO');
      return 2;
    };
    expect(writeFully(write, new Uint8Array(9), 9, 50)).toMatchObject({ position: 54 });
    const stuck = writeFully(() => 0, new Uint8Array(9), 9, 50)!;
    expect(errorCode(stuck.error)).toBe('EIO');
  });
});

describe('the clock of the machine', () => {
  it('defers to the end of the turn, and fires timers not before their time', async () => {
    const clock = new NodeClock();
    const order: string[] = [];
    const start = clock.now();
    await new Promise<void>((resolve) => {
      clock.after(5, () => {
        order.push('timer');
        expect(clock.now()).toBeGreaterThanOrEqual(start + 5);
        resolve();
      });
      clock.after(1, () => order.push('cancelled')).cancel();
      clock.defer(() => order.push('deferred'));
      queueMicrotask(() => order.push('microtask'));
    });
    expect(order).toEqual(['microtask', 'deferred', 'timer']);
    const far = clock.after(2 ** 40, () => order.push('far'));
    await new Promise((resolve) => clock.after(2, () => resolve(undefined)));
    expect(order).not.toContain('far');
    far.cancel();
    far.cancel();
  });
});

describe('the manual clock', () => {
  it('fires in order of time, then of setting', () => {
    const clock = new ManualClock();
    const order: number[] = [];
    clock.after(10, () => order.push(3));
    clock.after(5, () => {
      order.push(1);
      clock.after(0, () => order.push(2));
    });
    clock.after(20, () => order.push(4));
    clock.advance(10);
    expect(order).toEqual([1, 2, 3]);
    expect(clock.now()).toBe(10);
    expect(clock.pending).toBe(1);
    expect(clock.step()).toBe(true);
    expect(clock.now()).toBe(20);
    expect(clock.step()).toBe(false);
  });
});

describe('the chance of the machine', () => {
  it('stays within its bound and reaches every value', () => {
    const random = new NodeRandom();
    for (const bound of [1, 2, 3, 10, 2 ** 48]) {
      for (let i = 0; i < 300; i++) {
        const value = random.below(bound);
        expect(Number.isInteger(value) && value >= 0 && value < bound).toBe(true);
      }
    }
    expect(new Set(Array.from({ length: 400 }, () => random.below(4))).size).toBe(4);
    expect(new Set(Array.from({ length: 400 }, () => random.uint64())).size).toBe(400);
    expect(() => random.below(0)).toThrow(/between 1 and 2\^48/);
  });
});

describe('workerUrl', () => {
  it('maps a source to its built file, and a built file to its neighbour', () => {
    const url = workerUrl(import.meta.url, './node-disk-log-thread.js');
    expect(url.pathname).toMatch(/apps\/server\/dist\/engine\/platform\/node-disk-log-thread\.js$/);
    expect(workerUrl('file:///x/dist/a/b.js', './c.js').href).toBe('file:///x/dist/a/c.js');
    expect(() => workerUrl('file:///x/src/a/b.ts', './c.js')).toThrow(
      /\/x\/dist\/a\/c\.js is missing; build it/,
    );
  });
});
