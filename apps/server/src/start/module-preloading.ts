import { readFile } from 'node:fs/promises';
import { createRequire, isBuiltin } from 'node:module';
import { pathToFileURL } from 'node:url';

/** Modules are loaded for so long before everything else has a turn. */
const sliceMs = 5;
const moduleFile = /\.c?js$/;
/** Only ES modules have lines that begin so. */
const esSyntax = /^(?:import|export)\b/m;
/** What a CommonJS module needs at once: `require` in a line that is not indented. */
const requirement = /^[^\s/*].*?\brequire\(['"]([^'"\n]+)['"]\)/gm;

/**
 * Loads packages one after the other, with turns of the event loop between, and those in CommonJS file by file, each after
 * the files that it needs. What is imported at once is evaluated at once, with all that it imports: a third of a second on
 * a quiet machine and more on a busy one, in which a member neither sends nor answers heartbeats.
 *
 * This is a preparation only: what it cannot find or load is left to the import that needs it.
 */
export async function preloadModules(packages: readonly string[]): Promise<void> {
  const preloading = new Preloading();
  const { resolve } = createRequire(import.meta.url);
  for (const name of packages) await preloading.load(resolve(name));
}

class Preloading {
  private readonly seen = new Set<string>();
  private readonly require = createRequire(import.meta.url);
  private sliceBegan = performance.now();

  async load(path: string): Promise<void> {
    if (this.seen.has(path) || !moduleFile.test(path)) return;
    this.seen.add(path);
    const source = await readFile(path, 'utf8');
    const isEs = esSyntax.test(source);
    if (!isEs) for (const needed of requirementsOf(path, source)) await this.load(needed);
    if (performance.now() - this.sliceBegan > sliceMs) {
      await new Promise((turn) => setImmediate(turn));
      this.sliceBegan = performance.now();
    }
    try {
      if (isEs) await import(pathToFileURL(path).href);
      else this.require(path);
    } catch {
      // Whoever needs it is told.
    }
  }
}

/** Files that a CommonJS module needs, as far as they can be told. */
function requirementsOf(path: string, source: string): string[] {
  const { resolve } = createRequire(path);
  const found: string[] = [];
  for (const [, name] of source.matchAll(requirement)) {
    if (isBuiltin(name)) continue;
    try {
      found.push(resolve(name));
    } catch {
      // An optional package that is not there.
    }
  }
  return found;
}
