import { describe, expect, it } from 'vitest';
import { KeyNamespace, prefixEnd } from './key-range.js';

const hex = (range: { start: Buffer; end: Buffer }): string =>
  `${range.start.toString('latin1')}|${range.end.toString('hex')}`;

describe('key ranges', () => {
  it('ends a prefix at the least greater key', () => {
    expect(prefixEnd(Buffer.from('ab')).toString()).toBe('ac');
    expect(prefixEnd(Buffer.from([0x61, 0xff]))).toEqual(Buffer.from([0x62]));
    expect(prefixEnd(Buffer.from([0xff, 0xff]))).toEqual(Buffer.of(0));
  });

  it('selects one key, a prefix, a range, everything from a key, or everything', () => {
    const bare = new KeyNamespace('');
    expect(hex(bare.range('k'))).toBe('k|');
    expect(hex(bare.range('k', { prefix: true }))).toBe('k|6c');
    expect(hex(bare.range('k', { rangeEnd: 'm' }))).toBe('k|6d');
    expect(hex(bare.range('k', { rangeEnd: '' }))).toBe('k|00');
    expect(hex(bare.range('', { prefix: true }))).toBe('\0|00');
  });

  it('keeps every selection inside the key prefix', () => {
    const names = new KeyNamespace('p/');
    expect(hex(names.range('k'))).toBe('p/k|');
    expect(hex(names.range('', { prefix: true }))).toBe('p/|7030');
    expect(hex(names.range('k', { rangeEnd: 'm' }))).toBe('p/k|702f6d');
    expect(hex(names.range('k', { rangeEnd: '' }))).toBe('p/k|7030');
    expect(names.strip(Buffer.from('p/k')).toString()).toBe('k');
    expect(names.strip(Buffer.from('other')).toString()).toBe('other');
  });

  it('never prefixes the keys of the config center', () => {
    const names = new KeyNamespace('p/');
    expect(hex(names.range('/conclave/config/', { prefix: true }))).toBe(
      '/conclave/config/|2f636f6e636c6176652f636f6e66696730',
    );
    expect(names.key('/conclave/x').toString()).toBe('/conclave/x');
  });

  it('refuses the empty key and contradictions', () => {
    const names = new KeyNamespace('p/');
    expect(() => names.key('')).toThrow('empty');
    expect(() => names.range('k', { prefix: true, rangeEnd: 'z' })).toThrow('one of them');
  });
});
