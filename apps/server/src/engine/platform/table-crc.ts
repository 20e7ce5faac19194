/**
 * CRC-32 by tables, eight bytes at once ("slicing by 8", Kounavis and Berry 2005). For what `node:zlib` cannot do, and
 * for short runs: a call of `zlib.crc32` costs as much as a hundred bytes here.
 */

/** The checksum of `sum`'s bytes followed by `bytes[start, end)`. Begin with 0. */
export type Crc = (sum: number, bytes: Uint8Array, start?: number, end?: number) => number;

const tables = 8;

/** @param polynomial Bits reversed, as the tables of RFC 1952 have it. */
function crcOf(polynomial: number): Crc {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = [0, 256, 512, 768, 1_024, 1_280, 1_536, 1_792] as const;
  const table = makeTable(polynomial);
  return (sum, bytes, start = 0, end = bytes.length) => {
    let crc = ~sum;
    let at = start;
    for (; at + 8 <= end; at += 8) {
      const low = crc ^ (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24));
      crc =
        table[t7 + (low & 0xff)] ^
        table[t6 + ((low >>> 8) & 0xff)] ^
        table[t5 + ((low >>> 16) & 0xff)] ^
        table[t4 + (low >>> 24)] ^
        table[t3 + bytes[at + 4]] ^
        table[t2 + bytes[at + 5]] ^
        table[t1 + bytes[at + 6]] ^
        table[t0 + bytes[at + 7]];
    }
    for (; at < end; at++) crc = (crc >>> 8) ^ table[(crc ^ bytes[at]) & 0xff];
    return ~crc >>> 0;
  };
}

/** Eight tables of 256 in one array: table n advances a byte by n bytes more than table 0. */
function makeTable(polynomial: number): Int32Array {
  const table = new Int32Array(tables * 256);
  for (let byte = 0; byte < 256; byte++) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum & 1) !== 0 ? (sum >>> 1) ^ polynomial : sum >>> 1;
    table[byte] = sum;
  }
  for (let at = 256; at < table.length; at++) {
    const before = table[at - 256];
    table[at] = (before >>> 8) ^ table[before & 0xff];
  }
  return table;
}

/** CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of etcd's HashKV. */
export const crc32c = crcOf(0x82f6_3b78);

/** CRC-32 of RFC 1952, that of `zlib.crc32`, for less than a hundred bytes. */
export const shortCrc32 = crcOf(0xedb8_8320);
