import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HpackError } from './error.js';
import { CODE_LENGTHS, CODES, EOS } from './huffman-code.js';
import { huffmanDecode, huffmanEncode, huffmanLength } from './huffman.js';

function encode(text: string): Buffer {
  const target = Buffer.alloc(huffmanLength(text));
  expect(huffmanEncode(text, target, 0)).toBe(target.length);
  return target;
}

function decode(octets: Uint8Array): string {
  const target = Buffer.alloc(Math.ceil((octets.length * 8) / 5));
  return target.toString('latin1', 0, huffmanDecode(octets, 0, octets.length, target));
}

/** A decoder that reads bit by bit and looks codes up in the table of the RFC. */
function decodeSlowly(octets: Uint8Array): string {
  let text = '';
  let code = 0;
  let length = 0;
  for (let bit = 0; bit < octets.length * 8; bit++) {
    code = code * 2 + ((octets[bit >>> 3] >>> (7 - (bit & 7))) & 1);
    length++;
    const symbol = CODES.findIndex((known, i) => known === code && CODE_LENGTHS[i] === length);
    if (symbol < 0) continue;
    if (symbol === EOS) throw new HpackError('EOS');
    text += String.fromCharCode(symbol);
    code = 0;
    length = 0;
  }
  if (length > 7 || code !== 2 ** length - 1) throw new HpackError('padding');
  return text;
}

describe('the code', () => {
  it('is complete and prefix-free', () => {
    expect(CODE_LENGTHS.length).toBe(257);
    expect(CODE_LENGTHS.reduce((sum, length) => sum + 2 ** -length, 0)).toBe(1);
  });

  it('has the codes of RFC 7541 Appendix B', () => {
    const samples = [0, 10, 32, 48, 92, 97, 122, 128, 195, 199, 207, 230, 239, 249, 255, EOS];
    expect(samples.map((symbol) => CODES[symbol].toString(16))).toEqual([
      ...['1ff8', '3ffffffc', '14', '0', '7fff0', '3', '7b', 'fffe6'],
      ...['7fff1', '1ffffec', '1ffffed', '1fffe8', '7ffff4', 'ffffffe', '3ffffee', '3fffffff'],
    ]);
  });
});

describe('Huffman strings', () => {
  it('every octet survives, alone and behind every bit offset', () => {
    for (let octet = 0; octet < 256; octet++) {
      for (const before of ['', 'a', 'aa', 'aaa', 'X', 'aX']) {
        const text = before + String.fromCharCode(octet) + before;
        expect(decode(encode(text))).toBe(text);
      }
    }
  });

  it('any string of octets survives', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (octets) => {
        const text = Buffer.from(octets).toString('latin1');
        expect(decode(encode(text))).toBe(text);
      }),
      { seed: 7541, numRuns: 300 },
    );
  });

  it('decides about arbitrary octets as a decoder that reads bit by bit', () => {
    const attempt = (decoder: (octets: Uint8Array) => string, octets: Uint8Array): string | undefined => {
      try {
        return decoder(octets);
      } catch (error) {
        expect(error).toBeInstanceOf(HpackError);
        return undefined;
      }
    };
    // Ones are likely at the end, where padding and EOS are.
    const octets = fc
      .tuple(
        fc.uint8Array({ maxLength: 6 }),
        fc.array(fc.constantFrom(0xff, 0xfe, 0x7f, 0x0f, 0x1f), { maxLength: 4 }),
      )
      .map(([head, tail]) => Uint8Array.from([...head, ...tail]));
    fc.assert(
      fc.property(octets, (input) => {
        expect(attempt(decode, input)).toBe(attempt(decodeSlowly, input));
      }),
      { seed: 7541, numRuns: 1500 },
    );
  });

  it.each([
    ['EOS', 'ffffffff'],
    ['padding of eight bits', '07ff'],
    ['padding with zeros', '18'],
  ])('refuses %s', (_title, hex) => {
    expect(() => decode(Buffer.from(hex, 'hex'))).toThrow(HpackError);
  });
});
