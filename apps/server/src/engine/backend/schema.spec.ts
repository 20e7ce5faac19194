import { describe, expect, it } from 'vitest';
import { decodeFormat, decodeMark, encodeFormat, encodeLogKey, encodeMark, FILE_FORMAT } from './schema.js';
import { isOddKey, mainOfLogKey, oddRowKey, subOfLogKey, SUB_MAX, tableNumber, TABLES } from './schema.js';

const hex = (key: string): string => Buffer.from(key, 'latin1').toString('hex');

describe('log keys', () => {
  it('are as the example in the source shows', () => {
    expect(hex(encodeLogKey(258, 1))).toBe('000000000000010200000001');
  });

  it('keep positions and their order, up to the largest', () => {
    const positions = [
      [0, 0],
      [1, 0],
      [1, 1],
      [1, SUB_MAX],
      [2, 0],
      [2 ** 32, 7],
      [Number.MAX_SAFE_INTEGER, SUB_MAX],
    ];
    const keys = positions.map(([main, sub]) => encodeLogKey(main, sub));
    expect(keys.map((key) => [mainOfLogKey(key), subOfLogKey(key)])).toEqual(positions);
    expect([...keys].sort()).toEqual(keys);
  });

  it('refuse what is no position', () => {
    for (const [main, sub] of [
      [-1, 0],
      [0.5, 0],
      [2 ** 53, 0],
      [1, -1],
      [1, SUB_MAX + 1],
    ]) {
      expect(() => encodeLogKey(main, sub)).toThrow(/revision/);
    }
  });
});

describe('odd keys', () => {
  it('are the empty ones and those from 1,900 bytes on', () => {
    expect([0, 1, 1899, 1900, 5000].map((length) => isOddKey('k'.repeat(length)))).toEqual([
      true,
      false,
      false,
      true,
      true,
    ]);
    expect(hex(oddRowKey(2, ''))).toBe('02');
    expect(oddRowKey(2, 'k'.repeat(5000))).toBe(`\x02${'k'.repeat(1900)}`);
  });
});

describe('marks and formats', () => {
  it('are read as they were written', () => {
    expect(decodeMark(encodeMark({ index: 2 ** 40, term: 3 }))).toEqual({ index: 2 ** 40, term: 3 });
    expect(decodeFormat(encodeFormat(FILE_FORMAT))).toBe(FILE_FORMAT);
  });

  it('are recognised as unreadable when any byte is wrong', () => {
    const mark = encodeMark({ index: 5, term: 3 });
    for (let at = 0; at < mark.length; at++) {
      const wrong = Uint8Array.from(mark);
      wrong[at] ^= 1;
      expect(decodeMark(wrong)).toBeUndefined();
    }
    expect(decodeMark(mark.subarray(1))).toBeUndefined();
    expect(decodeFormat(Buffer.from('conclave state'))).toBeUndefined();
    expect(decodeFormat(Buffer.from('something else\0\0\0\x01'))).toBeUndefined();
  });
});

it('numbers the tables', () => {
  expect(TABLES.map(tableNumber)).toEqual([0, 1, 2, 3]);
});
