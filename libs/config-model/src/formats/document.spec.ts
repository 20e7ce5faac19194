import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigModelError } from '../error.js';
import { type ConfigTree, type ConfigValue, isTree, sameValue } from '../value.js';
import { type DocumentFormat, parseDocument, renderDocument } from './document.js';
import { flatten, unflatten, valueAt } from './flatten.js';
import { joinPath, splitPath } from './path.js';

function errorOf(format: DocumentFormat, text: string): string {
  try {
    parseDocument(format, text);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigModelError);
    expect((error as ConfigModelError).code).toBe('invalid-document');
    return (error as Error).message;
  }
  throw new Error('was not refused');
}

const { tree } = fc.letrec<{ value: ConfigValue; tree: ConfigTree }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.string({ unit: 'grapheme' }),
    fc.boolean(),
    fc.maxSafeInteger(),
    // Whole numbers that are written with all their digits are refused where they may not be exact.
    fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .map((n) => (n === 0 ? 0 : n))
      .filter((n) => Number.isSafeInteger(n) || !/^-?\d+$/.test(String(n))),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 3 }),
    tie('tree'),
  ),
  tree: fc.dictionary(
    fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 6 }),
      fc.constantFrom('__proto__', 'a.b', 'a\\', '', 'toString'),
    ),
    tie('value') as fc.Arbitrary<ConfigValue>,
    { maxKeys: 5 },
  ),
}));

describe('paths', () => {
  it('a path keeps its names apart, whatever is in them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom('a', '.', '\\') }), { minLength: 1 }),
        (names) => {
          expect(splitPath(joinPath(names))).toEqual(names);
        },
      ),
    );
  });

  it('a tree comes back from its leaves', () => {
    fc.assert(fc.property(tree, (t) => sameValue(unflatten(flatten(t)), t)));
  });

  it('every leaf is found at its path', () => {
    fc.assert(
      fc.property(tree, (t) =>
        [...flatten(t)].every(([path, value]) => sameValue(valueAt(t, path) ?? null, value)),
      ),
    );
  });

  it('what is a leaf and leads further stays together, in any order', () => {
    for (const pairs of [
      [
        ['a', '1'],
        ['a.b', '2'],
        ['a.b.c', '3'],
      ],
      [
        ['a.b.c', '3'],
        ['a.b', '2'],
        ['a', '1'],
      ],
    ] as const) {
      expect(unflatten(new Map(pairs))).toEqual({ a: '1', 'a.b': '2', 'a.b.c': '3' });
    }
  });
});

describe('JSON and YAML', () => {
  it.each(['json', 'yaml'] as const)('%s refuses whole numbers that may not be exact', (format) => {
    for (const number of [2 ** 53, -(2 ** 53), 2 ** 60]) {
      const text = format === 'json' ? `{"a": ${number}}` : `a: ${number}`;
      expect(errorOf(format, text)).toMatch(/exact/);
    }
  });

  it.each(['json', 'yaml'] as const)('%s: every tree comes back from its text', (format) => {
    fc.assert(
      fc.property(tree, (t) => {
        const again = parseDocument(format, renderDocument(format, flatten(t), t)).tree;
        expect(sameValue(again, t)).toBe(true);
      }),
    );
  });

  it('JSON accepts exactly what JSON.parse accepts, except repeated members and inexact integers', () => {
    const source = fc.string({ unit: fc.constantFrom(...'{}[]",:0-1.eE\\un \ttrufalsn') });
    fc.assert(
      fc.property(source, (text) => {
        let expected: unknown;
        try {
          expected = JSON.parse(`{"a":${text}}`);
        } catch {
          expect(() => parseDocument('json', `{"a":${text}}`)).toThrow(ConfigModelError);
          return;
        }
        try {
          expect(parseDocument('json', `{"a":${text}}`).tree).toEqual(expected);
        } catch (error) {
          expect((error as Error).message).toMatch(/given twice|kept exactly/);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['json', '{\n  "a": 1,\n  "a": 2\n}', "line 3, column 3: the member 'a' is given twice"],
    ['json', '{"a": 1,}', 'line 1, column 9: a member name in double quotes was expected'],
    [
      'json',
      '{"a": 12345678901234567890}',
      'line 1, column 7: the number 12345678901234567890 cannot be kept exactly; write it in double quotes',
    ],
    ['json', '[1]', 'line 1, column 1: the root of a JSON document is an object, not a list'],
    ['json', '{"a"', "line 1, column 5: ':' was expected after the member name"],
    ['json', '{} x', 'line 1, column 4: the document ends here, but more follows'],
    ['json', `{"a":${'['.repeat(101)}`, 'line 1, column 106: is nested deeper than 100 levels'],
    ['yaml', 'a: 1\na: 2\n', 'line 2, column 1: Map keys must be unique'],
    [
      'yaml',
      'a: 12345678901234567890',
      'line 1, column 4: the number 12345678901234567890 cannot be kept exactly; write it in quotes',
    ],
    ['yaml', 'a: .inf', 'line 1, column 4: Infinity is not a number that a document can have'],
    ['yaml', '- 1', 'line 1, column 1: the root of a YAML document is a map, not a list'],
    ['yaml', 'a: !!js/function x', 'line 1, column 4: Unresolved tag: tag:yaml.org,2002:js/function'],
    ['yaml', 'a: &x [*x]', 'is nested deeper than 100 levels, or contains itself'],
    ['properties', 'a=1\n\na=2', "line 3, column 1: the key 'a' is given twice"],
    ['properties', '  b=\\u12', 'line 1, column 3: \\u needs four hexadecimal digits'],
    ['properties', 'a\\\\b=1', "line 1, column 1: the path 'a\\b' has a backslash that escapes nothing"],
  ] as const)('%s refuses %j with its place', (format, text, message) => {
    expect(errorOf(format, text)).toBe(message);
  });

  it('YAML refuses an explosion of aliases', () => {
    const lines = ['a: &a [x, x, x, x, x, x, x, x, x]'];
    for (const [name, of] of ['ba', 'cb', 'dc', 'ed', 'fe'].map((pair) => [...pair] as [string, string])) {
      lines.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${of}`).join(', ')}]`);
    }
    expect(errorOf('yaml', lines.join('\n'))).toMatch(/aliases cannot be resolved/);
  });

  it('a name cannot change the prototype of anything', () => {
    for (const format of ['json', 'yaml'] as const) {
      const { tree: parsed } = parseDocument(format, '{"__proto__": {"polluted": true}}');
      expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype);
      expect(Object.hasOwn(parsed, '__proto__')).toBe(true);
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
      expect(isTree(parsed)).toBe(true);
    }
  });
});

describe('properties', () => {
  it('every set of keys and values comes back from its text', () => {
    const key = fc
      .string({ unit: fc.constantFrom(...'ab .=:#!\t\nä') })
      .map((text) => joinPath(text.split('.')));
    fc.assert(
      fc.property(fc.dictionary(key, fc.string({ unit: 'grapheme' })), (object) => {
        const values = new Map(Object.entries(object));
        const again = parseDocument('properties', renderDocument('properties', values, {}));
        expect(new Map(again.values)).toEqual(values);
      }),
    );
  });
});
