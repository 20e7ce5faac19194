import { spawnSync } from 'node:child_process';
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import { publint } from 'publint';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repositoryRoot } from '../../members/member-process.js';
import { packageNames, PackedPackages } from './packed-packages.js';

let packed: PackedPackages;

beforeAll(() => {
  packed = PackedPackages.create();
});

afterAll(() => packed.remove());

function tool(script: string, ...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(repositoryRoot, script), ...args], {
    encoding: 'utf8',
  });
  return { status, text: `${stdout}${stderr}` };
}

describe.each(packageNames)('@conclave/%s', (name) => {
  it('is a package as Node and bundlers expect it', async () => {
    const { messages } = await publint({ pkgDir: packed.folder(name), pack: false, strict: true });
    expect(messages).toEqual([]);
  });

  it('has the right types for every way to resolve them, in both formats', () => {
    const checked = tool(
      'node_modules/@arethetypeswrong/cli/dist/index.js',
      packed.tarball(name),
      '--no-color',
    );
    expect(checked, checked.text).toMatchObject({ status: 0 });
    expect(checked.text).toContain('No problems found');
  });

  it('leads nowhere outside of itself and of what it declares', () => {
    const files = packed.files(name);
    const { dependencies, peerDependencies } = packed.manifest(name);
    const declared = new Set(
      Object.keys({ ...dependencies, ...peerDependencies, [`@conclave/${name}`]: '' }),
    );
    const violations = [...files]
      .filter(([path]) => /\.[cm]?[jt]s$|^bin\//.test(path))
      .flatMap(([path, text]) =>
        specifiersOf(path, text)
          .filter((specifier) => !isReached(specifier, path, files, declared))
          .map((specifier) => `${path} imports ${specifier}`),
      );
    expect(violations).toEqual([]);
  });

  it('names no path of the repository', () => {
    const paths = [repositoryRoot, 'conclave-source'];
    const inCode = [...packed.files(name)].filter(([path]) => !path.endsWith('.map'));
    const found = inCode.flatMap(([file, text]) =>
      paths.filter((path) => text.includes(path)).map((path) => `${file} contains ${path}`),
    );
    expect(found).toEqual([]);
  });

  it('has a source map with the sources beside every file of code', () => {
    const files = packed.files(name);
    // What the bundler itself adds has no source.
    const isOurs = (text: string): boolean => /^\/\/ (?:libs|apps)\//m.test(text);
    const code = [...files].flatMap(([path, text]) =>
      /^dist\/.*\.c?js$/.test(path) && isOurs(text) ? [path] : [],
    );
    expect(code.length).toBeGreaterThan(1);
    for (const path of code) {
      const map = JSON.parse(files.get(`${path}.map`) ?? '{}') as {
        sources?: readonly string[];
        sourcesContent?: readonly (string | null)[];
      };
      expect(map.sources?.length, path).toBeGreaterThan(0);
      expect(map.sources?.filter((source) => source.includes('..'))).toEqual([]);
      expect(map.sourcesContent?.every((content) => typeof content === 'string')).toBe(true);
    }
  });

  it('carries its licence, its notices and a description', () => {
    const files = packed.files(name);
    expect(files.get('LICENSE')).toContain('Apache License');
    expect(files.get('THIRD-PARTY-NOTICES.md')).toContain('Google Inc.');
    expect(files.get('README.md')).toMatch(new RegExp(`^# @conclave/${name}\n`));
    expect(files.get('README.md')).not.toMatch(/\.spec\.ts/);
  });
});

describe('@conclave/client', () => {
  it('forces no framework on those who use none', () => {
    const { peerDependencies, peerDependenciesMeta } = packed.manifest('client');
    const forced = Object.keys(peerDependencies ?? {}).filter(
      (name) => !peerDependenciesMeta?.[name]?.optional,
    );
    expect(forced).toEqual(['rxjs']);
  });

  it('has the API that its report says', () => {
    const checked = tool('scripts/api-report.mjs', '--check', `--out=${packed.out}`);
    expect(checked, checked.text).toMatchObject({ status: 0 });
  });

  const program = `
    import { createClient, configClass, type ConfigRef, isConclaveError, type LockHandle } from '@conclave/client';
    const client = createClient({ endpoints: ['127.0.0.1:2379'] });
    export const token: Promise<bigint> = client.locks.mutex('m').run((handle: LockHandle) => Promise.resolve(handle.token));
    class Values { readonly limit: number = 1; }
    const Billing = configClass<Values>({ name: 'Billing', namespace: 'billing', validate: () => ({ value: new Values() }) });
    export const limit: Promise<number> = client.config.ref(Billing).then((ref: ConfigRef<Values>) => ref.value.limit);
    // @ts-expect-error revisions are bigint
    export const revision: Promise<number> = client.kv.put('a', 'b').then((result) => result.revision);
    export const isOurs = (error: unknown): string => (isConclaveError(error) ? error.code : 'other');
  `;

  it.each([
    [
      'ES modules',
      'user.mts',
      { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
    ],
    [
      'CommonJS',
      'user.cts',
      { module: ts.ModuleKind.Node16, moduleResolution: ts.ModuleResolutionKind.Node16 },
    ],
    [
      'the resolution of old Nest projects',
      'user.ts',
      {
        module: ts.ModuleKind.CommonJS,
        moduleResolution: ts.ModuleResolutionKind.Node10,
        ignoreDeprecations: '6.0',
      },
    ],
  ])('type-checks under strict, declarations included: %s', (_, file, options) => {
    expect(diagnosticsOf(join(packed.project, file), program, options)).toEqual([]);
  });
});

function diagnosticsOf(file: string, text: string, options: ts.CompilerOptions): readonly string[] {
  const all: ts.CompilerOptions = {
    ...options,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts'],
    types: ['node'],
    strict: true,
    skipLibCheck: false,
    noEmit: true,
  };
  const host = ts.createCompilerHost(all);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => path === file || fileExists(path);
  host.getSourceFile = (path, version, ...rest) =>
    path === file ? ts.createSourceFile(path, text, version, true) : getSourceFile(path, version, ...rest);
  const program = ts.createProgram([file], all, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map(
      ({ file: at, messageText }) => `${at?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
    );
}

function specifiersOf(path: string, text: string): string[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, false, ts.ScriptKind.TS);
  const found: (ts.Node | undefined)[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) found.push(node.moduleSpecifier);
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) found.push(node.argument.literal);
    if (ts.isCallExpression(node)) {
      const isLoading =
        node.expression.kind === ts.SyntaxKind.ImportKeyword ||
        (ts.isIdentifier(node.expression) && node.expression.text === 'require');
      if (isLoading) found.push(node.arguments[0]);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found.flatMap((node) => (node !== undefined && ts.isStringLiteral(node) ? [node.text] : []));
}

/** Declarations stand for the code that is bundled, so only they have to be there under the name of a module. */
function isReached(
  specifier: string,
  from: string,
  files: ReadonlyMap<string, string>,
  declared: ReadonlySet<string>,
): boolean {
  if (isBuiltin(specifier)) return true;
  if (!specifier.startsWith('.')) {
    return declared.has(
      specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/'),
    );
  }
  const target = join(dirname(from), specifier);
  if (!/\.d\.c?ts$/.test(from)) return files.has(target);
  const isCommonJs = from.endsWith('.d.cts');
  return files.has(isCommonJs ? target.replace(/\.cjs$/, '.d.cts') : target.replace(/\.js$/, '.d.ts'));
}
