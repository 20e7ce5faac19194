import { mvccpb } from '@conclave/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeHead, Head, HEAD_ROW_BYTES_MAX, writeHead } from './head-row.js';
import { keyOfKeyValue, keyValueSize, StoredKeyValue, writeKeyValue } from './key-value.js';
import {
  decodeLogRow,
  LogRow,
  type LogRowLinks,
  logRowPrefixSize,
  LOG_ROW_PREFIX_BYTES,
  sealLogRow,
  writeLogRowPrefix,
} from './log-row.js';
import { CorruptionError, UnknownFormatError } from './storage-errors.js';
import { varint64Size, varintSize, VarintReader, writeVarint, writeVarint64 } from './varint.js';
import { VersionRoots } from './version-chain.js';

const links: LogRowLinks = {
  tombstone: false,
  created: false,
  prevMain: 2,
  prevSub: 0,
  jumpMain: 0,
  jumpSub: 0,
};

function logRow(value: string, main: number, sub: number, of: LogRowLinks = links): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  const row = Buffer.alloc(logRowPrefixSize(of, main) + keyValueSize('a', 2, main, 2, bytes, 0n));
  const at = writeLogRowPrefix(row, 0, of, main);
  expect(writeKeyValue(row, at, 'a', 2, main, 2, bytes, 0n)).toBe(row.length);
  sealLogRow(row, row.subarray(LOG_ROW_PREFIX_BYTES), main, sub);
  return row;
}

describe('varints', () => {
  it('keep every safe integer and every 64-bit value', () => {
    const runs = fc.property(
      fc.maxSafeNat(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      (number, big) => {
        const bytes = Buffer.alloc(20);
        const middle = writeVarint(bytes, 0, number);
        const end = writeVarint64(bytes, middle, big);
        expect(middle).toBe(varintSize(number));
        expect(end - middle).toBe(varint64Size(big));
        const reader = new VarintReader();
        reader.reset(bytes, 0, end);
        expect(reader.next()).toBe(number);
        expect(reader.next64()).toBe(big);
        expect(reader.done).toBe(true);
      },
    );
    fc.assert(runs, { seed: 1 });
  });

  it('refuse what is cut short or too long', () => {
    const reader = new VarintReader();
    reader.reset(Buffer.from([0x80]), 0, 1);
    expect(() => reader.next()).toThrow(CorruptionError);
    reader.reset(Buffer.alloc(11, 0xff), 0, 11);
    expect(() => reader.next()).toThrow(CorruptionError);
    reader.reset(Buffer.alloc(11, 0xff), 0, 11);
    expect(() => reader.next64()).toThrow(CorruptionError);
  });
});

describe('KeyValue bytes', () => {
  it('are the example in the comment', () => {
    const bytes = Buffer.alloc(12);
    expect(writeKeyValue(bytes, 0, 'a', 2, 2, 1, Buffer.from('x'), 0n)).toBe(12);
    expect(bytes.toString('hex')).toBe('0a01611002180220012a0178');
  });

  it('equal what the generated codec writes, and are read back', () => {
    const revision = fc.oneof(fc.nat(300), fc.maxSafeNat());
    const runs = fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ maxLength: 300 }),
      revision,
      revision,
      revision,
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      (key, value, create, mod, version, lease) => {
        const name = Buffer.from(key).toString('latin1');
        const bytes = Buffer.alloc(keyValueSize(name, create, mod, version, value, lease));
        expect(writeKeyValue(bytes, 0, name, create, mod, version, value, lease)).toBe(bytes.length);
        const encoded = mvccpb.KeyValue.encode({
          key: Buffer.from(key),
          create_revision: BigInt(create),
          mod_revision: BigInt(mod),
          version: BigInt(version),
          value: Buffer.from(value),
          lease,
        }).finish();
        expect(bytes.equals(encoded)).toBe(true);
        const stored = new StoredKeyValue(bytes, 0, bytes.length);
        expect([stored.key, stored.create, stored.mod, stored.version, stored.lease]).toEqual([
          name,
          create,
          mod,
          version,
          lease,
        ]);
        expect(Buffer.from(stored.value).equals(value)).toBe(true);
        expect(keyOfKeyValue(bytes, 0, bytes.length)).toBe(name);
      },
    );
    fc.assert(runs, { seed: 2 });
  });
});

describe('a head row', () => {
  it('is the example in the comment', () => {
    const roots = new VersionRoots();
    roots.push(5, 0, -1);
    roots.push(7, 0, -1);
    const head = Object.assign(new Head(), { mod: 7, create: 5, version: 2 });
    const bytes = Buffer.alloc(HEAD_ROW_BYTES_MAX);
    const end = writeHead(bytes, 0, head, roots);
    expect(bytes[0]).toBe(1);
    expect(bytes.subarray(3, end).toString('hex')).toBe('070002020002' + '0000');
  });

  it('keeps the roots, a lease and a tombstone', () => {
    const roots = new VersionRoots();
    for (let main = 2; main < 300; main += 3) roots.push(main, main % 5, -1);
    for (const tombstone of [false, true]) {
      const head = Object.assign(new Head(), { mod: roots.mains[0], sub: roots.subs[0], tombstone });
      if (!tombstone) Object.assign(head, { create: 2, version: 100, lease: -3n });
      const bytes = Buffer.alloc(HEAD_ROW_BYTES_MAX);
      const end = writeHead(bytes, 0, head, roots);
      const read = new Head();
      const readRoots = new VersionRoots();
      decodeHead(bytes.subarray(0, end), read, readRoots);
      expect(read).toEqual(head);
      expect(readRoots.mains.slice(0, readRoots.length)).toEqual(roots.mains.slice(0, roots.length));
      expect(readRoots.subs.slice(0, readRoots.length)).toEqual(roots.subs.slice(0, roots.length));
      expect(readRoots.ranks.slice(0, readRoots.length)).toEqual(roots.ranks.slice(0, roots.length));
    }
  });

  it('of a later format is refused with the remedy', () => {
    const later = Buffer.from('02070002020002', 'hex');
    expect(() => decodeHead(later, new Head())).toThrow(UnknownFormatError);
    expect(() => decodeHead(later, new Head())).toThrow(/restore a snapshot/);
    expect(() => decodeHead(Buffer.alloc(0), new Head())).toThrow(CorruptionError);
  });

  it('fails when any bit of it is flipped', () => {
    const roots = new VersionRoots();
    for (let main = 2; main < 30; main += 3) roots.push(main, main % 5, -1);
    const head = Object.assign(new Head(), {
      mod: roots.mains[0],
      sub: roots.subs[0],
      create: 2,
      version: 9,
      lease: 77n,
    });
    const bytes = Buffer.alloc(HEAD_ROW_BYTES_MAX);
    const row = bytes.subarray(0, writeHead(bytes, 0, head, roots));
    decodeHead(row, new Head(), new VersionRoots());
    for (let bit = 0; bit < row.length * 8; bit++) {
      const damaged = Buffer.from(row);
      damaged[bit >> 3] ^= 1 << (bit & 7);
      expect(() => decodeHead(damaged, new Head(), new VersionRoots())).toThrow();
    }
  });
});

describe('a log row', () => {
  it('is the example in the comment', () => {
    const row = logRow('x', 3, 0);
    expect(row[0]).toBe(0x41);
    expect(row.subarray(5).toString('hex')).toBe('0100' + '0a01611002180320022a0178');
    const read = new LogRow();
    decodeLogRow(row, 3, 0, read);
    expect(read).toMatchObject({ prevMain: 2, prevSub: 0, jumpMain: 0, tombstone: false, created: false });
    expect(row.subarray(read.keyValueStart, read.keyValueEnd).toString('hex')).toBe(
      '0a01611002180320022a0178',
    );
  });

  it('fails when any bit of it is flipped', () => {
    const row = logRow('value', 3, 0);
    for (let bit = 0; bit < row.length * 8; bit++) {
      const damaged = Buffer.from(row);
      damaged[bit >> 3] ^= 1 << (bit & 7);
      expect(() => decodeLogRow(damaged, 3, 0, new LogRow())).toThrow();
    }
    for (let length = 0; length < row.length; length++) {
      expect(() => decodeLogRow(row.subarray(0, length), 3, 0, new LogRow())).toThrow(CorruptionError);
    }
  });

  it('fails when it is read from another position', () => {
    const row = logRow('value', 3, 0);
    expect(() => decodeLogRow(row, 3, 1, new LogRow())).toThrow(CorruptionError);
    expect(() => decodeLogRow(row, 4, 0, new LogRow())).toThrow(CorruptionError);
    expect(() => decodeLogRow(row, 2 ** 40 + 3, 0, new LogRow())).toThrow(CorruptionError);
  });

  it('keeps links beyond 32 bits', () => {
    const main = 2 ** 45;
    const far: LogRowLinks = { ...links, prevMain: 5, prevSub: 70_000, jumpMain: 3, jumpSub: 1 };
    const read = new LogRow();
    decodeLogRow(logRow('', main, 9, far), main, 9, read);
    expect(read).toMatchObject({ prevMain: 5, prevSub: 70_000, jumpMain: 3, jumpSub: 1 });
  });
});
