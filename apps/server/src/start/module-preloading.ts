import { readFile } from 'node:fs/promises';
import { createRequire, isBuiltin } from 'node:module';
import { pathToFileURL } from 'node:url';

/** Modules are loaded for so long before everything else has a turn. */
const sliceMs = 5;
const moduleFile = /\.[cm]?js$/;
/** What a module cannot do without: `import … from`, `export … from`, and `require` in a line that is not indented. */
const dependency =
  /^(?:import|export)\b[^'"();]*?['"]([^'"\n]+)['"]|^[^\s/*].*?\brequire\(['"]([^'"\n]+)['"]\)/gm;

/**
 * Loads packages file by file, each after the files that it needs, with turns of the event loop between. A package that is
 * imported at once is evaluated at once, with all that it imports: for the larger ones a tenth of a second on a quiet
 * machine and a second on a busy one, in which a member neither sends nor answers heartbeats.
 *
 * This is a preparation only: what it cannot find or read is left to the import that needs it. ES modules are followed
 * within their package, because what they mean by another package's name may depend on who asks.
 */
export async function preloadModules(packages: readonly string[]): Promise<void> {
  const preloading = new Preloading();
  const { resolve } = createRequire(import.meta.url);
  for (const name of packages) await preloading.load(resolve(name));
}

class Preloading {
  private readonly seen = new Set<string>();
  private sliceBegan = performance.now();

  async load(path: string): Promise<void> {
    if (this.seen.has(path) || !moduleFile.test(path)) return;
    this.seen.add(path);
    for (const needed of dependenciesOf(path, await readFile(path, 'utf8'))) await this.load(needed);
    if (performance.now() - this.sliceBegan > sliceMs) {
      await new Promise((turn) => setImmediate(turn));
      this.sliceBegan = performance.now();
    }
    await import(pathToFileURL(path).href).catch(() => undefined);
  }
}

/** Files that a module needs, as far as they can be told. */
function dependenciesOf(path: string, source: string): string[] {
  const { resolve } = createRequire(path);
  const found: string[] = [];
  for (const [, imported, required] of source.matchAll(dependency)) {
    const name = imported ?? required;
    if (isBuiltin(name) || (imported !== undefined && !name.startsWith('.'))) continue;
    try {
      found.push(resolve(name));
    } catch {
      // An optional package that is not there.
    }
  }
  return found;
}
