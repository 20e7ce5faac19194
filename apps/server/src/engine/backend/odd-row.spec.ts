import { describe, expect, it } from 'vitest';
import { changeOddEntry, decodeOddRow, encodeOddRow } from './odd-row.js';

describe('rows of odd keys', () => {
  const example = Buffer.from('03000000' + '02000000' + '616263' + '0708', 'hex');

  it('are as the example in the source shows', () => {
    expect(Buffer.from(encodeOddRow([{ rest: 'abc', value: new Uint8Array([7, 8]) }]))).toEqual(example);
    const [entry] = decodeOddRow(example);
    expect([entry.rest, ...entry.value]).toEqual(['abc', 7, 8]);
  });

  it('stay sorted under changes', () => {
    let entries = decodeOddRow(new Uint8Array(0));
    for (const rest of ['b', '', 'c', 'a', 'b']) entries = changeOddEntry(entries, rest, new Uint8Array(1));
    expect(entries.map((entry) => entry.rest)).toEqual(['', 'a', 'b', 'c']);
    entries = changeOddEntry(entries, 'b', undefined);
    entries = changeOddEntry(entries, 'missing', undefined);
    expect(decodeOddRow(encodeOddRow(entries)).map((entry) => entry.rest)).toEqual(['', 'a', 'c']);
  });

  it('that are cut off are damage', () => {
    for (let length = 1; length < example.length; length++) {
      expect(() => decodeOddRow(example.subarray(0, length))).toThrow(/ends inside an entry/);
    }
  });
});
