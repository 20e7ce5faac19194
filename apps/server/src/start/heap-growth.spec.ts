import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { HeapGrowth } from './heap-growth.js';

const mebibyte = 2 ** 20;

describe('the bound of what is dead in the heap', () => {
  it.each([
    ['11.3.244.8-node.33', true],
    ['12.4.254.21-node.33', true],
    ['13.6.233.10-node.28', true],
    ['10.2.154.26-node.36', false],
    ['14.1.146.11-node.14', false],
    ['what', false],
  ])('is set only where V8 is known to have the flag: %s', (release, expected) => {
    const growth = new HeapGrowth({ release, setFlag: () => undefined, usedBytes: () => 0 });
    expect(growth.isPossible).toBe(expected);
  });

  it('holds while the heap is large', () => {
    const flags: string[] = [];
    let used = 0;
    const growth = new HeapGrowth({
      release: '11',
      setFlag: (flag) => void flags.push(flag),
      usedBytes: () => used,
    });
    for (used of [10, 63, 64, 200, 70, 63, 10, 64].map((size) => size * mebibyte)) growth.look();
    expect(flags).toEqual(['30', '0', '30'].map((percent) => `--heap-growing-percent=${percent}`));
  });

  it('is a flag of the V8 that runs here, when it is set', async () => {
    const flags: string[] = [];
    let used = 100 * mebibyte;
    const heap = {
      release: process.versions.v8,
      setFlag: (flag: string) => void flags.push(flag),
      usedBytes: () => used,
    };
    const growth = new HeapGrowth(heap);
    if (!growth.isPossible) return;
    growth.look();
    used = 0;
    growth.look();
    expect(flags).toHaveLength(2);
    const program = `for (const flag of ${JSON.stringify(flags)}) require('v8').setFlagsFromString(flag)`;
    expect(await promisify(execFile)(process.execPath, ['-e', program])).toEqual({ stdout: '', stderr: '' });
  });
});
