import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatSealed, isSealed, parseSealed, sealedPlace } from './sealed-text.js';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

describe('sealed text', () => {
  it('is read back as what was written', () => {
    const parts = fc.record({
      keyId: fc.stringMatching(/^[A-Za-z0-9._-]{1,63}$/),
      iv: bytes(12),
      data: fc.uint8Array({ maxLength: 200 }),
      tag: bytes(16),
    });
    fc.assert(
      fc.property(parts, (sealed) => {
        const text = formatSealed(sealed);
        expect(isSealed(text)).toBe(true);
        expect(text).toMatch(/^enc:v1:[A-Za-z0-9._-]+:[A-Za-z0-9_-]+$/);
        expect(parseSealed(text)).toEqual(sealed);
      }),
    );
  });

  it('has one text, which does not change', () => {
    const sealed = {
      keyId: 'k-1',
      iv: new Uint8Array(12),
      data: Uint8Array.of(255, 254),
      tag: new Uint8Array(16),
    };
    expect(formatSealed(sealed)).toBe('enc:v1:k-1:AAAAAAAAAAAAAAAA__4AAAAAAAAAAAAAAAAAAAAA');
    expect(sealedPlace({ env: 'dev', app: 'shop', namespace: 'billing' }, 'db.password')).toEqual([
      'dev',
      'shop',
      'billing',
      'db.password',
    ]);
  });

  it('is told apart from text that only looks like it', () => {
    for (const text of ['', 'enc:', 'enc:on', 'encrypted:v1:a:b', ' enc:v1:a:b', 'enc:vx:a:b']) {
      expect(isSealed(text)).toBe(false);
    }
  });

  it.each([
    ['enc:v1:k', 'invalid-secret'],
    ['enc:v1:k:AAAA', 'invalid-secret'],
    ['enc:v1:k y:AAAAAAAAAAAAAAAA__4AAAAAAAAAAAAAAAAAAAAA', 'invalid-secret'],
    ['enc:v1:k:AAAAAAAAAAAAAAAA//4AAAAAAAAAAAAAAAAAAAAA', 'invalid-secret'],
    ['enc:v1:k:AAAAAAAAAAAAAAAA__4AAAAAAAAAAAAAAAAAAAAA\n', 'invalid-secret'],
    ['enc:v2:k:whatever', 'newer-format'],
  ])('refuses %j as %s', (text, code) => {
    expect(() => parseSealed(text)).toThrow(expect.objectContaining({ code }) as Error);
  });
});
