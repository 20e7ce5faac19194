import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigModelError } from '../error.js';
import { currentKey, grayKey, instanceKey, namespacePrefix, parseKey, releaseKey } from './keys.js';
import { checkedName, decodeSegment, encodeSegment } from './names.js';
import { formatRef, parseRef } from './namespace-ref.js';
import { decodeNumber, encodeNumber } from './number.js';

const id = { env: 'prod', app: 'shop', namespace: 'billing' };
const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });

describe('keys of the config center', () => {
  it('are written as the layout says', () => {
    expect(currentKey(id)).toBe('/conclave/config/prod/shop/billing/current');
    expect(grayKey(id, 'canary')).toBe('/conclave/config/prod/shop/billing/gray/canary');
    expect(releaseKey(id, 42n)).toBe('/conclave/releases/prod/shop/billing/00000000000000000042');
    expect(instanceKey({ env: 'prod', app: 'shop', instance: 'Host:1' })).toBe(
      '/conclave/instances/prod/shop/%48ost%3A1',
    );
    expect(namespacePrefix(id)).toBe('/conclave/config/prod/shop/billing/');
  });

  it('come back from their text, whatever the names', () => {
    fc.assert(
      fc.property(
        name,
        name,
        name,
        name,
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        (env, app, namespace, last, number) => {
          const ns = { env, app, namespace };
          expect(parseKey(currentKey(ns))).toEqual({ kind: 'current', id: ns });
          expect(parseKey(grayKey(ns, last))).toEqual({ kind: 'gray', id: ns, rule: last });
          expect(parseKey(releaseKey(ns, number))).toEqual({ kind: 'release', id: ns, number });
          const instance = { env, app, instance: last };
          expect(parseKey(instanceKey(instance))).toEqual({ kind: 'instance', id: instance });
          expect(currentKey(ns).slice(namespacePrefix(ns).length)).toBe('current');
          expect(parseRef(formatRef({ app, namespace }))).toEqual({ app, namespace });
        },
      ),
    );
  });

  it('sort by number', () => {
    const number = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    fc.assert(fc.property(number, number, (a, b) => a < b === encodeNumber(a) < encodeNumber(b)));
  });

  it.each([
    '/conclave/config/prod/shop/billing',
    '/conclave/config/prod/shop/billing/current/x',
    '/conclave/config/prod/shop/billing/gray',
    '/conclave/config/prod/shop/billing/other',
    '/conclave/config/prod/Shop/billing/current',
    '/conclave/config/prod/%73hop/billing/current',
    '/conclave/config/prod//billing/current',
    '/conclave/releases/prod/shop/billing/42',
    '/conclave/releases/prod/shop/billing/99999999999999999999',
    '/conclave/instances/prod/shop',
    '/conclave/instances/prod/shop/a/b',
  ])('refuses %s', (key) => {
    expect(() => parseKey(key)).toThrow(ConfigModelError);
  });

  it('leaves other keys alone', () => {
    expect(parseKey('/conclave/audit/1')).toBeUndefined();
    expect(parseKey('config/prod')).toBeUndefined();
  });
});

describe('names', () => {
  it('exactly one segment stands for each name', () => {
    fc.assert(
      fc.property(name, (value) => {
        const segment = encodeSegment(value);
        expect(segment).toMatch(/^(?:[a-z0-9]|%[0-9A-F]{2})(?:[a-z0-9._-]|%[0-9A-F]{2})*$/);
        expect(decodeSegment(segment)).toBe(value);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'aA%25_4.1/') }), (segment) => {
        let decoded: string;
        try {
          decoded = decodeSegment(segment);
        } catch {
          return;
        }
        expect(encodeSegment(decoded)).toBe(segment);
      }),
    );
  });

  it('refuses what is no name, and says what one is', () => {
    expect(() => checkedName('Shop', 'app')).toThrow("app: 'Shop' is not a name; it has 1 to 63 of a-z");
    expect(() => checkedName('a'.repeat(64), 'app')).toThrow(ConfigModelError);
    expect(() => encodeSegment('')).toThrow('has 0 bytes');
    expect(() => encodeSegment('ä'.repeat(128))).toThrow('has 256 bytes');
    expect(() => encodeSegment('\ud800')).toThrow('a surrogate stands alone');
    expect(() => encodeNumber(-1n)).toThrow(ConfigModelError);
    expect(() => decodeNumber('1')).toThrow('20 digits');
    expect(() => parseRef('shop')).toThrow('app/namespace');
  });
});
