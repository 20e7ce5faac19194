import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { applyPatch, parsePatch, type Patch } from './patch.js';

/** A mistake that can be put into a copy of the engine. */
export interface Mutant extends Patch {
  readonly name: string;
  /** The scenario in whose world it is looked for, when drawn worlds hardly ever come where it shows. */
  readonly world: string | undefined;
}

/** The root of the repository, from the sources as from what is built. */
export const repository = rootAbove(dirname(fileURLToPath(import.meta.url)));

function rootAbove(folder: string): string {
  return existsSync(join(folder, 'package-lock.json')) ? folder : rootAbove(dirname(folder));
}

export function readMutants(): Mutant[] {
  const folder = join(repository, 'test/simulator/mutants');
  const names = readdirSync(folder).filter((name) => name.endsWith('.patch'));
  return names.sort().map((file) => {
    const patch = parsePatch(readFileSync(join(folder, file), 'utf8'));
    const world = /^World: (\S+)$/m.exec(patch.story)?.[1];
    return { ...patch, name: file.slice(0, -'.patch'.length), world };
  });
}

/** The changed sources of a mutant, by path. @throws Error when the patch no longer fits. */
export function mutate({ files }: Mutant): Map<string, string> {
  const sources = new Map<string, string>();
  for (const file of files) {
    const before = sources.get(file.path) ?? readFileSync(join(repository, file.path), 'utf8');
    sources.set(file.path, applyPatch(before, file));
  }
  return sources;
}
