import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HpackDecoder } from './decoder.js';
import { HpackEncoder } from './encoder.js';
import { HpackError } from './error.js';

const LIMITS = { tableSizeMax: 4096, headerListBytesMax: 8192, stringBytesMax: 4096 };

const octets = (maxLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString('latin1'));

/** Few names and values, so that tables are hit, and a few arbitrary ones. */
const name = fc.oneof(
  fc.constantFrom(':method', ':path', 'te', 'token', 'x-a', 'x-b', 'grpc-timeout'),
  octets(20),
);
const value = fc.oneof(fc.constantFrom('GET', 'POST', '/', 'trailers', '', 'a'), octets(200));
const list = fc.array(fc.tuple(name, value), { maxLength: 12 }).map((pairs) => pairs.flat());

describe('HPACK', () => {
  it('round trip: any sequence of lists and table sizes arrives unchanged', () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: list.map((fields) => ({ fields, size: -1 })) },
      {
        weight: 1,
        arbitrary: fc.constantFrom(0, 40, 100, 500, 4096).map((size) => ({ fields: [] as string[], size })),
      },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder(LIMITS);
        for (const { fields, size } of steps) {
          if (size >= 0) encoder.setPeerTableSize(size);
          encoder.encode(fields);
          expect(decoder.decode(encoder.writer.buffer, 0, encoder.writer.length)).toEqual(fields);
          expect(decoder.truncated).toBe(false);
        }
      }),
      { seed: 7541, numRuns: 200 },
    );
  });

  it('arbitrary octets give fields within the limits, or HpackError', () => {
    const decodeAll = (blocks: Uint8Array[]): void => {
      const decoder = new HpackDecoder(LIMITS);
      for (const block of blocks) {
        const fields = decoder.decode(Buffer.from(block), 0, block.length);
        const size = fields.reduce((sum, text) => sum + text.length + 16, 0);
        expect(size).toBeLessThanOrEqual(LIMITS.headerListBytesMax);
      }
    };
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 5 }), (blocks) => {
        try {
          decodeAll(blocks);
        } catch (error) {
          expect(error).toBeInstanceOf(HpackError);
        }
      }),
      { seed: 7541, numRuns: 3000 },
    );
  });

  it('valid blocks with changed octets give fields or HpackError', () => {
    const change = fc.tuple(fc.nat(2000), fc.nat(255));
    fc.assert(
      fc.property(
        fc.array(list, { minLength: 1, maxLength: 6 }),
        fc.array(change, { maxLength: 4 }),
        (lists, changes) => {
          const encoder = new HpackEncoder();
          const decoder = new HpackDecoder(LIMITS);
          try {
            for (const fields of lists) {
              encoder.encode(fields);
              const block = encoder.writer.copy();
              for (const [at, octet] of changes) if (block.length > 0) block[at % block.length] = octet;
              decoder.decode(block, 0, block.length);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(HpackError);
          }
        },
      ),
      { seed: 7541, numRuns: 1500 },
    );
  });
});
