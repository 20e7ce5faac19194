import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PutRequest } from './generated/rpc.js';
import { PutFields } from './put-fields.js';
import { MalformedMessageError } from './wire-reader.js';

const request = fc.record({
  key: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  value: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  lease: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  prev_kv: fc.boolean(),
  ignore_value: fc.boolean(),
  ignore_lease: fc.boolean(),
});

function asRequest(fields: PutFields): PutRequest {
  return {
    key: Buffer.from(fields.key, 'latin1'),
    value: Buffer.from(fields.value),
    lease: fields.lease,
    prev_kv: fields.prevKv,
    ignore_value: fields.ignoreValue,
    ignore_lease: fields.ignoreLease,
  };
}

describe('PutFields', () => {
  const fields = new PutFields();

  it('reads what the generated decoder reads', () => {
    fc.assert(
      fc.property(request, (message) => {
        const bytes = PutRequest.encode(message).finish();
        expect(asRequest(fields.read(bytes))).toEqual(PutRequest.decode(bytes));
      }),
    );
  });

  it('lets the last of repeated fields count and skips unknown ones', () => {
    const bytes = Buffer.from('0a01610a016212017879030a0162fa0600', 'hex').subarray(0, 9);
    const unknown = Buffer.concat([
      Buffer.from('0a01610a0162', 'hex'),
      Buffer.from('3a02ffff', 'hex'),
      Buffer.from('4805', 'hex'),
    ]);
    expect(fields.read(unknown).key).toBe('b');
    expect(fields.read(bytes).key).toBe('b');
  });

  it('agrees with the generated decoder on any bytes, or refuses them as malformed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        let read: PutRequest;
        try {
          read = asRequest(fields.read(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessageError);
          return;
        }
        expect(read).toEqual(PutRequest.decode(bytes));
      }),
      { numRuns: 2_000 },
    );
  });
});
