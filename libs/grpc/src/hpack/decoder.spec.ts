import { describe, expect, it } from 'vitest';
import { BlockWriter } from './block-writer.js';
import { HpackDecoder } from './decoder.js';
import { HpackError } from './error.js';

const LIMITS = { tableSizeMax: 4096, headerListBytesMax: 1024, stringBytesMax: 2048 };

function block(write: (writer: BlockWriter) => void): Buffer {
  const writer = new BlockWriter('never');
  write(writer);
  return writer.copy();
}

function decode(decoder: HpackDecoder, octets: Buffer): string[] {
  return decoder.decode(octets, 0, octets.length);
}

function literal(writer: BlockWriter, flags: number, prefixBits: number, name: string, value: string): void {
  writer.integer(flags, prefixBits, 0);
  writer.string(name);
  writer.string(value);
}

describe('the limits of a decoder', () => {
  it('cuts a header list that is too large, and stays in step with the encoder', () => {
    const decoder = new HpackDecoder(LIMITS);
    const large = block((writer) => {
      literal(writer, 0x40, 6, 'a', 'x'.repeat(900));
      literal(writer, 0x40, 6, 'b', 'y'.repeat(900));
    });
    expect(decode(decoder, large)).toEqual(['a', 'x'.repeat(900)]);
    expect(decoder.truncated).toBe(true);
    expect(decode(decoder, Buffer.of(0x80 | 62))).toEqual(['b', 'y'.repeat(900)]);
    expect(decoder.truncated).toBe(false);
  });

  it('does not grow with references to one large entry', () => {
    const decoder = new HpackDecoder(LIMITS);
    const bomb = block((writer) => {
      literal(writer, 0x40, 6, 'a', 'x'.repeat(800));
      for (let i = 0; i < 10_000; i++) writer.integer(0x80, 7, 62);
    });
    expect(decode(decoder, bomb)).toHaveLength(2);
    expect(decoder.truncated).toBe(true);
  });

  it('an entry larger than the table empties the table', () => {
    const decoder = new HpackDecoder({ ...LIMITS, headerListBytesMax: 100_000, stringBytesMax: 100_000 });
    decode(
      decoder,
      block((writer) => literal(writer, 0x40, 6, 'a', 'b')),
    );
    decode(
      decoder,
      block((writer) => literal(writer, 0x40, 6, 'large', 'x'.repeat(5000))),
    );
    expect(() => decode(decoder, Buffer.of(0x80 | 62))).toThrow(/beyond the tables/);
  });

  const malformed: [title: string, hex: string, message: RegExp][] = [
    ['index 0', '80', /index 0/],
    ['an index beyond the tables', 'be', /index 62 is beyond/],
    ['an integer that is cut off', 'ff', /cut off/],
    ['an integer of six octets', 'ff808080808001', /too long/],
    ['an integer above 2^31-1', 'ffffffffff7f', /too large/],
    ['a string that is cut off', '000561', /cut off/],
    ['a literal without its value', '000161', /cut off/],
    ['a string longer than the limit', '007f8210', /too long/],
    ['a size update above our setting', '3fe21f', /size update to 4097/],
    ['a third size update', '202020', /too many size updates/],
    ['a size update behind a field', '8220', /inside of a header block/],
    ['a Huffman string with EOS', '0084ffffffff00', /EOS/],
  ];
  it.each(malformed)('refuses %s', (_title, hex, message) => {
    const attempt = (): string[] => decode(new HpackDecoder(LIMITS), Buffer.from(hex, 'hex'));
    expect(attempt).toThrow(HpackError);
    expect(attempt).toThrow(message);
  });
});

describe('size updates', () => {
  it('are due after our settings have shrunk the table', () => {
    const decoder = new HpackDecoder({ ...LIMITS, tableSizeMax: 100 });
    expect(decode(decoder, Buffer.of(0x82))).toEqual([':method', 'GET']);
    decoder.settingsAcknowledged();
    expect(decoder.owesUpdate).toBe(true);
    const update = block((writer) => writer.integer(0x20, 5, 100));
    expect(decode(decoder, Buffer.concat([update, Buffer.of(0x82)]))).toEqual([':method', 'GET']);
    expect(decode(decoder, Buffer.of(0x82))).toEqual([':method', 'GET']);
  });

  it('that are missing are an error', () => {
    const decoder = new HpackDecoder({ ...LIMITS, tableSizeMax: 100 });
    decoder.settingsAcknowledged();
    expect(() => decode(decoder, Buffer.of(0x82))).toThrow(/size update was due/);
  });

  it('to 0 and back empty the table', () => {
    const decoder = new HpackDecoder(LIMITS);
    decode(
      decoder,
      block((writer) => literal(writer, 0x40, 6, 'a', 'b')),
    );
    expect(decode(decoder, Buffer.of(0x80 | 62))).toEqual(['a', 'b']);
    const updates = block((writer) => {
      writer.integer(0x20, 5, 0);
      writer.integer(0x20, 5, 4096);
    });
    expect(decode(decoder, updates)).toEqual([]);
    expect(() => decode(decoder, Buffer.of(0x80 | 62))).toThrow(HpackError);
  });
});
