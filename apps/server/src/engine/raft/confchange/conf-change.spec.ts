import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ConfChange,
  decodeConfChange,
  encodeConfChange,
  MalformedConfChangeError,
} from './conf-change.js';

const anyChange: fc.Arbitrary<ConfChange> = fc.record({
  changes: fc.array(
    fc.record({
      type: fc.constantFrom('add-voter', 'add-learner', 'remove'),
      member: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
    }),
    { maxLength: 5 },
  ),
  transition: fc.constantFrom('auto', 'explicit', 'implicit'),
  context: fc.uint8Array({ maxLength: 20 }),
});

describe('the codec of membership changes', () => {
  it('gives back what it was given, wherever the bytes lie', () => {
    fc.assert(
      fc.property(anyChange, fc.nat(9), (change, offset) => {
        const bytes = encodeConfChange(change);
        const shifted = new Uint8Array(offset + bytes.length + 3);
        shifted.set(bytes, offset);
        expect(decodeConfChange(shifted.subarray(offset, offset + bytes.length))).toEqual(change);
      }),
    );
  });

  it('keeps its format', () => {
    const change: ConfChange = {
      changes: [{ type: 'remove', member: 0x0102n }],
      transition: 'explicit',
      context: new Uint8Array([7]),
    };
    const expected = [1, 1, 1, 0, 1, 0, 0, 0, 2, 2, 1, 0, 0, 0, 0, 0, 0, 7];
    expect([...encodeConfChange(change)]).toEqual(expected);
  });

  it('refuses bytes that are cut, too long, or of a newer version, and never throws anything else', () => {
    const member = { type: 'add-voter', member: 9n } as const;
    const bytes = encodeConfChange({ changes: [member], transition: 'auto', context: new Uint8Array(3) });
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeConfChange(bytes.subarray(0, length))).toThrow(MalformedConfChangeError);
    }
    expect(() => decodeConfChange(new Uint8Array([...bytes, 0]))).toThrow('length');
    for (const [at, name] of [
      [0, 'format'],
      [1, 'head'],
      [8, 'type'],
    ] as const) {
      const damaged = Uint8Array.from(bytes);
      damaged[at] = 9;
      expect(() => decodeConfChange(damaged)).toThrow(name);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (noise) => {
        try {
          decodeConfChange(noise);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedConfChangeError);
        }
      }),
    );
  });
});
