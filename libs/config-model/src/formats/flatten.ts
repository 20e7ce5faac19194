import { type ConfigTree, type ConfigValue, isTree, setMember } from '../value.js';
import { pathSegment, splitPath } from './path.js';

/** The leaves of a tree by path. Arrays are leaves, and so are objects without members. */
export function flatten(tree: ConfigTree): Map<string, ConfigValue> {
  const values = new Map<string, ConfigValue>();
  const walk = (object: ConfigTree, prefix: string): void => {
    for (const [name, value] of Object.entries(object)) {
      const path = prefix + pathSegment(name);
      if (isTree(value) && Object.keys(value).length > 0) walk(value, `${path}.`);
      else values.set(path, value);
    }
  };
  walk(tree, '');
  return values;
}

/**
 * The tree with these leaves. Where a path is a leaf and leads further too, which only properties can say (`a=1`, `a.b=2`), the
 * longer one stays together: `{ a: '1', 'a.b': '2' }`.
 */
export function unflatten(values: ReadonlyMap<string, ConfigValue>): ConfigTree {
  const root: Record<string, ConfigValue> = {};
  for (const [path, value] of values) {
    let object = root;
    let at = '';
    let rest = splitPath(path);
    for (let name = rest[0] ?? ''; rest.length > 1; name = rest[0] ?? '') {
      at = at === '' && object === root ? pathSegment(name) : `${at}.${pathSegment(name)}`;
      if (values.has(at)) {
        // This is a leaf already: what lies below it is named by the whole rest of its path.
        rest = [rest.join('.')];
        break;
      }
      object = childOf(object, name);
      rest = rest.slice(1);
    }
    setMember(object, rest[0] ?? '', value);
  }
  return root;
}

function childOf(object: Record<string, ConfigValue>, name: string): Record<string, ConfigValue> {
  const found = Object.hasOwn(object, name) ? object[name] : undefined;
  if (found !== undefined && isTree(found)) return found as Record<string, ConfigValue>;
  const made: Record<string, ConfigValue> = {};
  setMember(object, name, made);
  return made;
}

/** The value or the subtree at a path, or undefined when there is none. */
export function valueAt(tree: ConfigTree, path: string): ConfigValue | undefined {
  let value: ConfigValue = tree;
  for (const name of splitPath(path)) {
    if (!isTree(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name] ?? null;
  }
  return value;
}
