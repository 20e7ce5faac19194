import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { RangeResponse, ResponseHeader } from './generated/rpc.js';
import { KeyValue } from './generated/kv.js';
import { WireWriter } from './wire.js';

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

describe('WireWriter', () => {
  it('writes what the generated codec writes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        int64,
        fc.maxSafeNat(),
        fc.uint8Array({ maxLength: 3000 }),
        (key, lease, mod, value) => {
          const written = new WireWriter(16)
            .bytes(1, key)
            .uint(3, mod)
            .bytes(5, value)
            .bigint(6, lease)
            .take();
          const expected = KeyValue.encode(
            KeyValue.fromPartial({
              key: Buffer.from(key),
              mod_revision: BigInt(mod),
              value: Buffer.from(value),
              lease,
            }),
          ).finish();
          expect(written.equals(expected)).toBe(true);
        },
      ),
    );
  });

  it('keeps an empty embedded message and leaves out zero values', () => {
    const written = new WireWriter()
      .message(1, new Uint8Array())
      .bool(3, false)
      .uint(4, 0)
      .string(9, '')
      .take();
    expect(written.toString('hex')).toBe('0a00');
    expect(RangeResponse.decode(written).header).toEqual(ResponseHeader.fromPartial({}));
  });

  it('starts anew after take and leaves what was taken alone', () => {
    const writer = new WireWriter(4);
    const first = writer.uint(1, 300).take();
    writer.uint(1, 5).take();
    expect(first.toString('hex')).toBe('08ac02');
    expect(writer.length).toBe(0);
  });
});
