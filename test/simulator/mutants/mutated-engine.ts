import { cpSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';
import { mutate, readMutants, repository } from './mutants.js';

/**
 * A copy of the built engine with a mistake in it.
 *
 * @returns its folder, which stands for `apps/server/dist`. Whoever asks removes it.
 * @throws Error when there is no such mistake, or its patch no longer fits.
 */
export function build(name: string): string {
  const mutants = readMutants();
  const mutant = mutants.find((each) => each.name === name);
  const names = mutants.map((each) => each.name).join(', ');
  if (mutant === undefined) throw new Error(`there is no mutant "${name}"; there are ${names}`);
  const sources = mutate(mutant);
  const root = mkdtempSync(join(tmpdir(), 'conclave-mutant-'));
  cpSync(join(repository, 'apps/server/dist/engine'), join(root, 'engine'), { recursive: true });
  symlinkSync(join(repository, 'node_modules'), join(root, 'node_modules'));
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
  for (const [path, source] of sources) {
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
    });
    const built = path.replace('apps/server/src/', '').replace(/\.ts$/, '.js');
    writeFileSync(join(root, built), outputText);
  }
  return root;
}
