import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Event_EventType } from './generated/kv.js';
import { WatchResponse } from './generated/rpc.js';
import { bytes, header, int64, keyValue } from './messages.fixture.js';
import { decodeWatchResponse } from './watch-response.js';
import { MalformedMessageError } from './wire-reader.js';

const event = fc.record({
  type: fc.constantFrom(Event_EventType.PUT, Event_EventType.DELETE, 7 as Event_EventType),
  kv: fc.option(keyValue, { nil: undefined }),
  prev_kv: fc.option(keyValue, { nil: undefined }),
});
const response = fc.record({
  header: fc.option(header, { nil: undefined }),
  watch_id: int64,
  created: fc.boolean(),
  canceled: fc.boolean(),
  compact_revision: int64,
  cancel_reason: fc.string({ unit: 'grapheme', maxLength: 30 }),
  fragment: fc.boolean(),
  events: fc.array(event, { maxLength: 12 }),
});

describe('decodeWatchResponse', () => {
  it('reads what the generated decoder reads', () => {
    fc.assert(
      fc.property(response, (message) => {
        const encoded = WatchResponse.encode(message).finish();
        expect(decodeWatchResponse(encoded)).toEqual(WatchResponse.decode(encoded));
      }),
    );
  });

  it('agrees with the generated decoder on any bytes, or refuses them as malformed', () => {
    // Without embedded messages: where one ends early, the generated decoder takes what is left of it for fields of the answer.
    const flat = response.map((message) => ({ ...message, header: undefined, events: [] }));
    const damaged = fc.tuple(flat, fc.nat(), fc.nat(255)).map(([message, at, value]) => {
      const encoded = Buffer.from(WatchResponse.encode(message).finish());
      if (encoded.length > 0) encoded[at % encoded.length] = value;
      return encoded;
    });
    fc.assert(
      fc.property(damaged, (encoded) => {
        let read: WatchResponse;
        try {
          read = decodeWatchResponse(encoded);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessageError);
          return;
        }
        expect(read).toEqual(WatchResponse.decode(encoded));
      }),
      { numRuns: 500 },
    );
  });

  it('refuses nothing but with its own error, whatever was damaged', () => {
    const damaged = fc.tuple(response, fc.nat(), fc.nat(255), fc.nat(3)).map(([message, at, value, cut]) => {
      const encoded = Buffer.from(WatchResponse.encode(message).finish());
      if (encoded.length > 0) encoded[at % encoded.length] = value;
      return encoded.subarray(0, encoded.length - cut);
    });
    fc.assert(
      fc.property(fc.oneof(damaged, bytes(80)), (encoded) => {
        try {
          decodeWatchResponse(encoded);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessageError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
