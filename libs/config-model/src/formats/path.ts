import { ConfigModelError } from '../error.js';

/** One member name as part of a path: a dot or a backslash in it stands behind a backslash. */
export function pathSegment(name: string): string {
  return name.replace(/[\\.]/g, '\\$&');
}

/** `a.b` for the member `b` of `a`. */
export function joinPath(names: readonly string[]): string {
  return names.map(pathSegment).join('.');
}

/** @throws ConfigModelError `invalid-document` when a backslash stands before anything but a dot or a backslash. */
export function splitPath(path: string): string[] {
  const names: string[] = [];
  let name = '';
  for (let i = 0; i < path.length; i += 1) {
    const character = path[i] ?? '';
    if (character === '.') {
      names.push(name);
      name = '';
    } else if (character === '\\') {
      i += 1;
      const next = path[i];
      if (next !== '.' && next !== '\\') {
        throw new ConfigModelError(
          'invalid-document',
          `the path '${path}' has a backslash that escapes nothing`,
        );
      }
      name += next;
    } else {
      name += character;
    }
  }
  return [...names, name];
}
