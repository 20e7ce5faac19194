type Resolve = (specifier: string, context: object) => Promise<{ url: string }>;

const sources = '/apps/server/src/';

let mutant: string | undefined;

/** @param data The folder of an engine that takes the place of the server's `dist`. */
export function initialize(data: { readonly engine: string | undefined }): void {
  mutant = data.engine;
}

/** A module hook for built files: what they import from the server's sources is in the server's `dist`. */
export function resolve(
  specifier: string,
  context: { parentURL?: string },
  next: Resolve,
): Promise<{ url: string }> {
  const at = specifier.indexOf(sources);
  const parent = context.parentURL ?? '';
  const tests = parent.lastIndexOf('/test/dist/');
  if (at < 0 || tests < 0) return next(specifier, context);
  const file = specifier.slice(at + sources.length);
  const built = mutant === undefined ? `${parent.slice(0, tests)}/apps/server/dist` : `file://${mutant}`;
  return next(`${built}/${file}`, context);
}
