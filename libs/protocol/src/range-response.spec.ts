import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RangeResponse, RangeStreamResponse } from './generated/rpc.js';
import { bytes, header, int64, keyValue } from './messages.fixture.js';
import { decodeRangeResponse, decodeRangeStreamResponse } from './range-response.js';
import { MalformedMessageError } from './wire-reader.js';

const response = fc.record({
  header: fc.option(header, { nil: undefined }),
  kvs: fc.array(keyValue, { maxLength: 20 }),
  more: fc.boolean(),
  count: int64,
});

describe('decodeRangeResponse', () => {
  it('reads what the generated decoder reads', () => {
    fc.assert(
      fc.property(response, (message) => {
        const encoded = RangeResponse.encode(message).finish();
        expect(decodeRangeResponse(encoded)).toEqual(RangeResponse.decode(encoded));
        const piece = RangeStreamResponse.encode({ range_response: message }).finish();
        expect(decodeRangeStreamResponse(piece)).toEqual(RangeStreamResponse.decode(piece));
      }),
    );
    expect(decodeRangeStreamResponse(Buffer.alloc(0))).toEqual({ range_response: undefined });
  });

  it('agrees with the generated decoder on any bytes, or refuses them as malformed', () => {
    // Without a header: where one ends early, the generated decoder takes what is left of it for fields of the answer.
    const damaged = fc.tuple(response, fc.nat(), fc.nat(255)).map(([message, at, value]) => {
      const encoded = Buffer.from(RangeResponse.encode({ ...message, header: undefined }).finish());
      if (encoded.length > 0) encoded[at % encoded.length] = value;
      return encoded;
    });
    fc.assert(
      fc.property(fc.oneof(damaged, bytes(60)), (encoded) => {
        let read: RangeResponse;
        try {
          read = decodeRangeResponse(encoded);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessageError);
          return;
        }
        expect(read).toEqual(RangeResponse.decode(encoded));
      }),
      { numRuns: 500 },
    );
  });

  it('reads the next answer after one that was malformed', () => {
    const good = RangeResponse.encode(RangeResponse.create({ kvs: [{ key: Buffer.from('a') }] })).finish();
    expect(() => decodeRangeResponse(good.subarray(0, good.length - 1))).toThrow(MalformedMessageError);
    expect(decodeRangeResponse(good).kvs.map(({ key }) => key.toString())).toEqual(['a']);
  });

  it('shares no memory with the message, and keeps little of a large one', () => {
    const kvs = Array.from({ length: 400 }, (_, at) => ({
      key: Buffer.from(`key-${at}`),
      value: Buffer.alloc(at % 50 === 0 ? 40_000 : 100, at),
    }));
    const encoded = Buffer.from(RangeResponse.encode(RangeResponse.create({ kvs })).finish());
    const read = decodeRangeResponse(encoded);
    encoded.fill(0);
    for (const [at, { key, value }] of read.kvs.entries()) {
      expect(key.toString()).toBe(`key-${at}`);
      expect(value.equals(kvs[at]!.value)).toBe(true);
      expect(value.buffer.byteLength).toBeLessThanOrEqual(value.length > 100 ? 41_000 : 17_000);
    }
  });
});
