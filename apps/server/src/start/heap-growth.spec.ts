import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { boundHeapGrowth } from './heap-growth.js';

describe('the bound of what is dead in the heap', () => {
  it.each([
    ['11.3.244.8-node.33', ['--heap-growing-percent=60']],
    ['12.4.254.21-node.33', ['--heap-growing-percent=60']],
    ['13.6.233.10-node.28', ['--heap-growing-percent=60']],
    ['10.2.154.26-node.36', []],
    ['14.1.146.11-node.14', []],
    ['what', []],
  ])('is set only where V8 is known to have the flag: %s', (release, expected) => {
    const flags: string[] = [];
    expect(boundHeapGrowth(release, (flag) => void flags.push(flag))).toBe(expected.length > 0);
    expect(flags).toEqual(expected);
  });

  it('is a flag of the V8 that runs here, when it is set', async () => {
    const flags: string[] = [];
    boundHeapGrowth(undefined, (flag) => void flags.push(flag));
    const program = `for (const flag of ${JSON.stringify(flags)}) require('v8').setFlagsFromString(flag)`;
    expect(await promisify(execFile)(process.execPath, ['-e', program])).toEqual({ stdout: '', stderr: '' });
  });
});
