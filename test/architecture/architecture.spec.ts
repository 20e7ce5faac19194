import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { directions, lmdbFiles, type Direction } from './directions.js';
import { readSources, type SourceFile } from './source-tree.js';

const sources = readSources();
const production = sources.filter((file) => !file.isSpec && !file.path.startsWith('test/'));

function within(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function isAllowed(direction: Direction, imported: string): boolean {
  if (imported.startsWith('apps/') || imported.startsWith('libs/') || imported.startsWith('test/')) {
    return (
      within(imported, direction.folder) || direction.mayImport.some((folder) => within(imported, folder))
    );
  }
  return (direction.packages ?? []).some(
    (name) =>
      imported === name || imported.startsWith(name.endsWith(':') || name.endsWith('/') ? name : `${name}/`),
  );
}

describe('directions', () => {
  it.each(directions.map((direction) => [direction.folder, direction] as const))(
    '%s imports only what it may',
    (folder, direction) => {
      const files = production.filter((file) => within(file.path, folder));
      expect(files.length).toBeGreaterThan(0);
      const violations = files.flatMap((file) =>
        file.imports
          .filter((imported) => !isAllowed(direction, imported))
          .map((imported) => `${file.path} imports ${imported}`),
      );
      expect(violations).toEqual([]);
    },
  );

  it('libs never import apps, apps never import apps, nothing imports test', () => {
    const violations = production.flatMap((file) =>
      file.imports
        .filter((imported) => {
          if (imported.startsWith('test/')) return true;
          if (!imported.startsWith('apps/')) return false;
          return file.path.split('/').slice(0, 2).join('/') !== imported.split('/').slice(0, 2).join('/');
        })
        .map((imported) => `${file.path} imports ${imported}`),
    );
    expect(violations).toEqual([]);
  });

  it('only the LMDB backend loads lmdb', () => {
    const loading = production.filter((file) => file.imports.includes('lmdb')).map((file) => file.path);
    expect(loading.filter((path) => !lmdbFiles.test(path))).toEqual([]);
  });

  it('has no import cycles', () => {
    expect(findCycle(production)).toBeUndefined();
  });
});

/** Cycles through type-only imports are harmless and not counted. */
function findCycle(files: readonly SourceFile[]): string | undefined {
  const graph = new Map(files.map((file) => [file.path, valueImports(file)]));
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file].join(' -> ');
    if (done.has(file)) return undefined;
    path.push(file);
    for (const next of graph.get(file) ?? []) {
      const cycle = graph.has(next) ? visit(next) : undefined;
      if (cycle !== undefined) return cycle;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const cycle = visit(file);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

function valueImports(file: SourceFile): string[] {
  const typeOnly = new Set<string>();
  for (const statement of file.ast.statements) {
    if (!ts.isImportDeclaration(statement)) continue;
    const bindings = statement.importClause?.namedBindings;
    const allTypes =
      bindings !== undefined &&
      ts.isNamedImports(bindings) &&
      bindings.elements.every((element) => element.isTypeOnly);
    const phase = statement.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
    if (phase || (allTypes && statement.importClause?.name === undefined)) {
      typeOnly.add((statement.moduleSpecifier as ts.StringLiteral).text);
    }
  }
  const typeEndings = [...typeOnly].map((specifier) =>
    specifier.replace(/^(\.\.?\/)+/, '').replace(/\.js$/, '.ts'),
  );
  return file.imports.filter((imported) => !typeEndings.some((ending) => imported.endsWith(`/${ending}`)));
}

describe('sizes', () => {
  it('no file is longer than 400 lines', () => {
    const long = sources.filter((file) => file.text.split('\n').length - 1 > 400).map((file) => file.path);
    expect(long).toEqual([]);
  });

  it('no function is longer than 70 lines', () => {
    expect(production.flatMap(longFunctions)).toEqual([]);
  });
});

function longFunctions(file: SourceFile): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body) {
      const start = file.ast.getLineAndCharacterOfPosition(node.getStart()).line;
      const end = file.ast.getLineAndCharacterOfPosition(node.getEnd()).line;
      if (end - start + 1 > 70) found.push(`${file.path}:${start + 1} has ${end - start + 1} lines`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file.ast);
  return found;
}

/** What a folder may not call, and what to use instead. */
const bans = [
  {
    where: (path: string) =>
      path.startsWith('apps/server/src/engine/') && !path.startsWith('apps/server/src/engine/platform/'),
    banned: [
      'Date',
      'performance',
      'setTimeout',
      'setInterval',
      'setImmediate',
      'process',
      'Math.random',
      'crypto',
    ],
    instead: 'engine/platform (Clock, Random, Disk)',
    // The flush thread is a program of its own, not part of the deterministic engine.
    except: /engine\/backend\/(lmdb-|flush-worker)/,
  },
  {
    where: (path: string) =>
      (path.startsWith('libs/grpc/src/') || path.startsWith('libs/client/src/')) &&
      !/(^|\/)(node-)?runtime\.ts$/.test(path),
    banned: ['Date', 'performance', 'setTimeout', 'setInterval', 'setImmediate', 'Math.random', 'crypto'],
    instead: 'the runtime port',
    except: /$^/,
  },
  {
    where: (path: string) => path.startsWith('libs/config-model/src/'),
    banned: [
      'Buffer',
      'process',
      'Date',
      'performance',
      'Math.random',
      'setTimeout',
      'setImmediate',
      'crypto',
    ],
    instead: 'what browsers have too, and nothing that is not a function of its arguments',
    except: /$^/,
  },
];

describe('bans', () => {
  it('time, chance and processes come from outside', () => {
    const violations = production.flatMap((file) =>
      bans
        .filter((ban) => ban.where(file.path) && !ban.except.test(file.path))
        .flatMap((ban) =>
          bannedIdentifiers(file, ban.banned).map((name) => `${file.path} uses ${name}, use ${ban.instead}`),
        ),
    );
    expect(violations).toEqual([]);
  });

  it('no folder or file is named common, shared, utils or helpers', () => {
    const named = sources.filter((file) =>
      file.path.split('/').some((part) => /^(common|shared|utils?|helpers?)(\.ts)?$/.test(part)),
    );
    expect(named.map((file) => file.path)).toEqual([]);
  });
});

function bannedIdentifiers(file: SourceFile, banned: readonly string[]): string[] {
  const found = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node) && banned.includes(node.getText())) found.add(node.getText());
    const isName = ts.isIdentifier(node) && banned.includes(node.text);
    const parent = node.parent;
    if (isName && (ts.isCallExpression(parent) || ts.isNewExpression(parent)) && parent.expression === node)
      found.add(node.text);
    if (isName && ts.isPropertyAccessExpression(parent) && parent.expression === node) found.add(node.text);
    ts.forEachChild(node, visit);
  };
  visit(file.ast);
  return [...found];
}
