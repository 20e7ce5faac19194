import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeStatusMessage, encodeStatusMessage } from './status-message.js';

describe('grpc-message', () => {
  it('leaves printable ASCII alone', () => {
    const text = 'etcdserver: mvcc: required revision has been compacted ~!"#$&';
    expect(encodeStatusMessage(text)).toBe(text);
    expect(decodeStatusMessage(text)).toBe(text);
  });

  it('escapes percent, control characters and the bytes of UTF-8', () => {
    expect(encodeStatusMessage('100%\n')).toBe('100%25%0A');
    expect(encodeStatusMessage('ключ')).toBe('%D0%BA%D0%BB%D1%8E%D1%87');
    expect(encodeStatusMessage('\x7f')).toBe('%7F');
  });

  it('keeps malformed escapes and never fails', () => {
    expect(decodeStatusMessage('50% of %zz and %4')).toBe('50% of %zz and %4');
    expect(decodeStatusMessage('%41%')).toBe('A%');
    expect(decodeStatusMessage('%FF')).toBe('\ufffd');
    expect(decodeStatusMessage('%e4%bd%a0')).toBe('你');
  });

  it('gives back every text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const encoded = encodeStatusMessage(text);
        expect(encoded).toMatch(/^[ -~]*$/);
        expect(decodeStatusMessage(encoded)).toBe(text);
      }),
    );
  });
});
