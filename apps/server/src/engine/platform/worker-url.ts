import { existsSync } from 'node:fs';

/**
 * The URL of a worker's file, given the URL of the module that starts it. Worker threads need JavaScript: when the sources themselves are being
 * run (by the test runner), the built file of the same name is taken.
 *
 * @throws Error when that file was not built.
 */
export function workerUrl(moduleUrl: string, file: string): URL {
  const url = new URL(file, moduleUrl);
  if (new URL(moduleUrl).pathname.endsWith('.ts')) {
    const source = url.pathname.lastIndexOf('/src/');
    if (source >= 0) {
      url.pathname = `${url.pathname.slice(0, source)}/dist/${url.pathname.slice(source + 5)}`;
    }
    if (!existsSync(url)) throw new Error(`${url.pathname} is missing; build it with: npx tsc -b`);
  }
  return url;
}
