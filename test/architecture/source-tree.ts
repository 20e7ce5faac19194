import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const repositoryRoot = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** One TypeScript source of the repository, parsed. */
export interface SourceFile {
  /** Path from the root of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** Specs, contracts, fixtures and what stands in a `testing` folder: not part of what runs in production. */
  readonly isSpec: boolean;
  readonly ast: ts.SourceFile;
  /** What it imports: repository paths (`apps/…/x.ts`) for relative imports, package names otherwise. */
  readonly imports: readonly string[];
}

/** All sources of apps, libs and test, generated code left out. */
export function readSources(): readonly SourceFile[] {
  return ['apps', 'libs', 'test'].flatMap((folder) => walk(join(repositoryRoot, folder))).map(readSource);
}

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) {
      return ['node_modules', 'dist', 'generated'].includes(entry.name) ? [] : walk(join(folder, entry.name));
    }
    return entry.name.endsWith('.ts') ? [join(folder, entry.name)] : [];
  });
}

function readSource(file: string): SourceFile {
  const text = readFileSync(file, 'utf8');
  const path = relative(repositoryRoot, file).replaceAll('\\', '/');
  const ast = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  return {
    path,
    text,
    ast,
    isSpec: /\.(spec|contract|fixture)\.ts$|\/testing\//.test(path),
    imports: importsOf(ast, path),
  };
}

function importsOf(ast: ts.SourceFile, path: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier) {
      found.push((node.moduleSpecifier as ts.StringLiteral).text);
    }
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [argument] = node.arguments;
      if (ts.isStringLiteral(argument)) found.push(argument.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(ast);
  return found.map((specifier) =>
    specifier.startsWith('.') ? join(dirname(path), specifier).replace(/\.js$/, '.ts') : specifier,
  );
}
