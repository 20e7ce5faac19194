import { describe, expect, it } from 'vitest';
import { HeaderBlock } from '../http2/header-block.js';
import { appendMetadata, IncomingMetadata, type MetadataEntries } from './metadata.js';

function sent(entries: MetadataEntries): string[] {
  const fields: string[] = [];
  appendMetadata(fields, entries);
  return fields;
}

function received(fields: readonly string[]): IncomingMetadata {
  return new IncomingMetadata(new HeaderBlock('request', fields, -1, undefined));
}

describe('metadata to send', () => {
  it('writes text as it is and bytes in base64 without padding', () => {
    expect(sent({ token: 'abc.7', 'trace-bin': new Uint8Array([0xff]), many: ['a', 'b'] })).toEqual([
      'token',
      'abc.7',
      'trace-bin',
      '/w',
      'many',
      'a',
      'many',
      'b',
    ]);
  });

  it.each([
    [{ 'UPPER-case': 'x' }, 'malformed'],
    [{ 'with space': 'x' }, 'malformed'],
    [{ '': 'x' }, 'malformed'],
    [{ 'grpc-status': '0' }, 'reserved'],
    [{ 'content-type': 'x' }, 'reserved'],
    [{ name: 'line\nbreak' }, 'printable'],
    [{ name: 'ключ' }, 'printable'],
    [{ name: new Uint8Array(1) }, 'takes text'],
    [{ 'name-bin': 'text' }, 'takes bytes'],
  ] as [MetadataEntries, string][])('refuses %j', (entries, reason) => {
    expect(() => sent(entries)).toThrow(new RegExp(reason));
  });
});

describe('metadata that arrived', () => {
  it('reads first and all values', () => {
    const metadata = received(['a', '1', 'b', '2', 'a', '3']);
    expect(metadata.get('a')).toBe('1');
    expect(metadata.getAll('a')).toEqual(['1', '3']);
    expect(metadata.get('c')).toBeUndefined();
    expect(metadata.getBinary('c-bin')).toBeUndefined();
  });

  it('reads binary values with and without padding, joined with commas or as several fields', () => {
    const metadata = received(['x-bin', '/w==,AAE', 'x-bin', 'AQI=, ']);
    expect(metadata.getAllBinary('x-bin').map((bytes) => [...bytes])).toEqual([[0xff], [0, 1], [1, 2], []]);
    expect([...(metadata.getBinary('x-bin') ?? [])]).toEqual([0xff]);
  });

  it('lists what is no part of the protocol', () => {
    const metadata = received([
      ':path',
      '/a/b',
      'te',
      'trailers',
      'grpc-timeout',
      '1S',
      'token',
      't',
      'x-bin',
      'AA',
    ]);
    expect([...metadata.entries()]).toEqual([
      ['token', 't'],
      ['x-bin', 'AA'],
    ]);
  });
});
