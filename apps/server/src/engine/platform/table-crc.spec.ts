import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { crc32c, shortCrc32 } from './table-crc.js';

const bytes = Buffer.from(Array.from({ length: 100 }, (_, at) => (at * 37) & 0xff));

describe('crc32c', () => {
  it('gives the values of RFC 3720, appendix B.4', () => {
    expect(crc32c(0, Buffer.alloc(32))).toBe(0x8a91_36aa);
    expect(crc32c(0, Buffer.alloc(32, 0xff))).toBe(0x62a8_ab43);
    expect(crc32c(0, Buffer.from(Array.from({ length: 32 }, (_, at) => at)))).toBe(0x46dd_794e);
    expect(crc32c(0, Buffer.from('123456789'))).toBe(0xe306_9283);
  });

  it('goes on from any place', () => {
    const whole = crc32c(0, bytes);
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(crc32c(crc32c(0, bytes, 0, cut), bytes, cut)).toBe(whole);
    }
  });
});

describe('shortCrc32', () => {
  it('gives what zlib gives, for every run of the bytes and any beginning', () => {
    for (let start = 0; start < bytes.length; start += 7) {
      for (let end = start; end <= bytes.length; end++) {
        const run = bytes.subarray(start, end);
        expect(shortCrc32(0, bytes, start, end)).toBe(crc32(run));
        expect(shortCrc32(0xdead_beef, bytes, start, end)).toBe(crc32(run, 0xdead_beef));
      }
    }
  });
});
