import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DocumentFormat, parseDocument } from './formats/document.js';
import { unflatten } from './formats/flatten.js';
import { overlay } from './overlay.js';
import { sameValue } from './value.js';

const layer = (origin: string, format: DocumentFormat, text: string) => ({
  origin,
  document: parseDocument(format, text),
});

describe('overlay', () => {
  it('the last one wins member by member, arrays are replaced whole, null deletes, each value names its origin', () => {
    const base = layer(
      'base',
      'yaml',
      'db: { host: a, port: 1, pool: { max: 5 } }\ntags: [x, y]\nkept: 1\ngone: { a: 1, b: 2 }',
    );
    const own = layer(
      'own',
      'json',
      '{"db": {"host": "b", "pool": 3}, "tags": ["z"], "gone": null, "new": {"n": null}}',
    );
    const effective = overlay([base, own]);
    expect(effective.format).toBe('json');
    expect(effective.tree).toEqual({ db: { host: 'b', port: 1, pool: 3 }, tags: ['z'], kept: 1, new: {} });
    expect([...effective.values.keys()].sort()).toEqual([
      'db.host',
      'db.pool',
      'db.port',
      'kept',
      'new',
      'tags',
    ]);
    expect(Object.fromEntries(effective.origins)).toEqual({
      'db.host': 'own',
      'db.port': 'base',
      'db.pool': 'own',
      tags: 'own',
      kept: 'base',
      new: 'own',
    });
  });

  it('an object over a value replaces it', () => {
    const { tree } = overlay([
      layer('base', 'json', '{"a": 1, "b": {"c": 1}}'),
      layer('own', 'json', '{"a": {"x": 1}, "b": {}}'),
    ]);
    expect(tree).toEqual({ a: { x: 1 }, b: { c: 1 } });
  });

  it('properties are merged key by key', () => {
    const effective = overlay([
      layer('base', 'properties', 'a=1\na.b=2\nc=3'),
      layer('own', 'properties', 'a=9'),
    ]);
    expect(Object.fromEntries(effective.values)).toEqual({ a: '9', 'a.b': '2', c: '3' });
    expect(effective.origins.get('a')).toBe('own');
    expect(effective.origins.get('a.b')).toBe('base');
  });

  it('refuses text and other families', () => {
    const text = layer('t', 'text', 'x');
    const json = layer('j', 'json', '{}');
    const properties = layer('p', 'properties', '');
    expect(overlay([text]).values.get('')).toBe('x');
    expect(() => overlay([text, text])).toThrow(/cannot extend/);
    expect(() => overlay([properties, json])).toThrow(
      /a document of format json cannot extend one of format properties/,
    );
    expect(() => overlay([])).toThrow(/at least one/);
  });

  const object = fc.object({
    maxDepth: 3,
    key: fc.constantFrom('a', 'b', 'c.d'),
    values: [fc.nat(3), fc.constant(null), fc.string()],
  });
  const parsed = object.map((value) => layer('x', 'json', JSON.stringify(value)));

  it('is associative in what it says: laying over a merged base is laying over its parts', () => {
    fc.assert(
      fc.property(parsed, parsed, parsed, (a, b, c) => {
        const merged = overlay([a, b]);
        const base = {
          origin: 'x',
          document: { format: merged.format, values: merged.values, tree: merged.tree },
        };
        expect(sameValue(overlay([base, c]).tree, overlay([a, b, c]).tree)).toBe(true);
      }),
    );
  });

  it('values and tree say the same, and every value has an origin', () => {
    fc.assert(
      fc.property(parsed, parsed, (a, b) => {
        const { values, origins, tree } = overlay([a, b]);
        expect(sameValue(unflatten(values), tree)).toBe(true);
        expect([...origins.keys()]).toEqual([...values.keys()]);
        expect([...values.values()]).not.toContain(null);
      }),
    );
  });
});
