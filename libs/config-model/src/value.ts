/** A value of a document. 64-bit numbers do not fit `number`: documents carry them as text. */
export type ConfigValue =
  string | number | boolean | null | readonly ConfigValue[] | { readonly [name: string]: ConfigValue };

/** The members of a document that has a tree. */
export type ConfigTree = { readonly [name: string]: ConfigValue };

export function isTree(value: ConfigValue): value is ConfigTree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Sets an own member, also when it is called `__proto__`. */
export function setMember(object: Record<string, ConfigValue>, name: string, value: ConfigValue): void {
  if (name === '__proto__') {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[name] = value;
  }
}

/** Whether two values say the same; the order of members does not count. */
export function sameValue(a: ConfigValue, b: ConfigValue): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return (
      a.length === b.length &&
      a.every((item, index) => sameValue(item as ConfigValue, b[index] as ConfigValue))
    );
  }
  if (!isTree(a) || !isTree(b)) return false;
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => Object.hasOwn(b, name) && sameValue(a[name] ?? null, b[name] ?? null));
}
