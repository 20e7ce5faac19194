import { describe, expect, it } from 'vitest';
import { afterPrefix, decodeLeaseId, decodeLeaseRow, encodeLeaseId, encodeLeaseRow } from './lease-row.js';

const hex = (bytes: Uint8Array | string): string => Buffer.from(bytes as string, 'latin1').toString('hex');

describe('lease rows', () => {
  it('are stored as the example in the source shows', () => {
    expect(hex(encodeLeaseId(0x7f0000000000002an))).toBe('7f0000000000002a');
    const row = encodeLeaseRow({ ttlSeconds: 60, checkpointSeconds: 0, grantedAt: 9 });
    expect(Buffer.from(row).toString('hex')).toBe('02000000000000003c00000000000000000000000000000009');
    expect(decodeLeaseRow(row)).toEqual({ ttlSeconds: 60, checkpointSeconds: 0, grantedAt: 9 });
  });

  it('of format 1 do not say which entry granted the lease', () => {
    const row = Buffer.from('01000000000000003c0000000000000005', 'hex');
    expect(decodeLeaseRow(row)).toEqual({ ttlSeconds: 60, checkpointSeconds: 5, grantedAt: 0 });
    expect(() => decodeLeaseRow(Buffer.concat([row, Buffer.alloc(8)]))).toThrow(/cannot be read/);
  });

  it('hold every id of 64 bits, negative ones too', () => {
    for (const id of [1n, -1n, -(2n ** 63n), 2n ** 63n - 1n, 0x1234n]) {
      expect(decodeLeaseId(encodeLeaseId(id))).toBe(id);
    }
  });

  it('of a newer format are refused with the remedy, damaged ones as damaged', () => {
    const row = encodeLeaseRow({ ttlSeconds: 60, checkpointSeconds: 0, grantedAt: 9 });
    row[0] = 3;
    expect(() => decodeLeaseRow(row)).toThrow(/format 3.*newer one/);
    expect(() => decodeLeaseRow(row.subarray(0, 5))).toThrow(/format 3/);
    expect(() => decodeLeaseRow(new Uint8Array([1, 2, 3]))).toThrow(/cannot be read/);
    expect(() => decodeLeaseRow(new Uint8Array(0))).toThrow(/cannot be read/);
  });
});

describe('afterPrefix', () => {
  it('is the first string after all with the prefix', () => {
    expect(afterPrefix('ab')).toBe('ac');
    expect(afterPrefix('a\xff\xff')).toBe('b');
    expect(afterPrefix('\xff\xff')).toBeUndefined();
    expect(afterPrefix('')).toBeUndefined();
  });
});
